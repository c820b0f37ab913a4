#include "nn/modulation.h"

#include "kernels/chunks.h"
#include "kernels/layer_norm.h"
#include "kernels/residual.h"

namespace mactok {

Modulation::Modulation(int64_t width, const ModulationOptions& options)
    : options_(options),
      vectors_(options.branches * (1 + (options.shift ? 1 : 0) + (options.gate ? 1 : 0))),
      linear_(register_module("1", std::make_shared<Linear>(width, vectors_ * width))) {}

std::vector<BranchModulation> Modulation::forward(const at::Tensor& condition) const {
  auto all = linear_->forward(at::silu(condition)).unsqueeze(1);
  // Our kernels take float32, and one conversion is cheaper than one per vector.
  if (kernels::supports(all)) all = all.to(at::kFloat);
  const auto vectors = all.chunk(vectors_, -1);
  auto next = vectors.begin();
  std::vector<BranchModulation> result(static_cast<size_t>(options_.branches));
  for (auto& branch : result) {
    if (options_.shift) branch.shift = *next++;
    branch.scale = *next++;
    if (options_.gate) branch.gate = *next++;
  }
  return result;
}

at::Tensor gated(const at::Tensor& x, const at::Tensor& gate, const at::Tensor& branch) {
  if (kernels::supports(x) && x.scalar_type() == at::kFloat &&
      branch.scalar_type() == kernels::product_type()) {
    return kernels::residual(x, branch, gate.to(at::kFloat));
  }
  return x + gate * branch;
}

at::Tensor modulated_norm(const at::Tensor& x, const BranchModulation& by) {
  constexpr double kEps = 1e-6;
  if (kernels::supports(x) && x.scalar_type() == at::kFloat) {
    return kernels::layer_norm(x, by.scale.to(at::kFloat) + 1, by.shift.to(at::kFloat), kEps);
  }
  return modulate(at::layer_norm(x.to(at::kFloat), {x.size(-1)}, {}, {}, kEps), by);
}

at::Tensor modulate(const at::Tensor& x, const BranchModulation& by) {
  const auto scaled = x * (1 + by.scale);
  return by.shift.defined() ? scaled + by.shift : scaled;
}

}  // namespace mactok
