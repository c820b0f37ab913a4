#include "nn/modulation.h"

#include "kernels/chunks.h"
#include "kernels/layer_norm.h"
#include "kernels/residual.h"

namespace mactok {

Modulation::Modulation(int64_t width, int64_t parts)
    : parts_(parts),
      linear_(register_module("1", std::make_shared<Linear>(width, parts * width))) {}

std::vector<at::Tensor> Modulation::forward(const at::Tensor& condition) const {
  auto all = linear_->forward(at::silu(condition)).unsqueeze(1);
  if (kernels::supports(all)) all = all.to(at::kFloat);  // our kernels want it, and once is cheaper
  return all.chunk(parts_, -1);
}

at::Tensor gated(const at::Tensor& x, const at::Tensor& gate, const at::Tensor& branch) {
  if (kernels::supports(x) && x.scalar_type() == at::kFloat &&
      branch.scalar_type() == kernels::product_type()) {
    return kernels::residual(x, branch, gate.to(at::kFloat));
  }
  return x + gate * branch;
}

at::Tensor modulated_norm(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale) {
  constexpr double kEps = 1e-6;
  if (kernels::supports(x) && x.scalar_type() == at::kFloat) {
    return kernels::layer_norm(x, scale.to(at::kFloat) + 1, shift.to(at::kFloat), kEps);
  }
  return modulate(at::layer_norm(x.to(at::kFloat), {x.size(-1)}, {}, {}, kEps), shift, scale);
}

at::Tensor modulate(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale) {
  const auto scaled = x * (1 + scale);
  return shift.defined() ? scaled + shift : scaled;
}

}  // namespace mactok
