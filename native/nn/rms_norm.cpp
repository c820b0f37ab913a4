#include "nn/rms_norm.h"

namespace mactok {

RmsNorm::RmsNorm(int64_t width, double eps)
    : weight(register_parameter("weight", at::empty({width}))), eps_(eps) {}

at::Tensor RmsNorm::forward(const at::Tensor& x) const {
  return at::rms_norm(x.to(at::kFloat), weight.sizes(), weight, eps_);
}

}  // namespace mactok
