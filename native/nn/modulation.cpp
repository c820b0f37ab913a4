#include "nn/modulation.h"

namespace mactok {

Modulation::Modulation(int64_t width, int64_t parts)
    : parts_(parts),
      linear_(register_module("1", std::make_shared<Linear>(width, parts * width))) {}

std::vector<at::Tensor> Modulation::forward(const at::Tensor& condition) const {
  return linear_->forward(at::silu(condition)).unsqueeze(1).chunk(parts_, -1);
}

at::Tensor modulate(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale) {
  const auto scaled = x * (1 + scale);
  return shift.defined() ? scaled + shift : scaled;
}

}  // namespace mactok
