#include "nn/layer_scale.h"

namespace mactok {

LayerScale::LayerScale(int64_t width, bool enabled) {
  if (enabled) gamma = register_parameter("gamma", at::empty({width}));
}

at::Tensor LayerScale::residual(const at::Tensor& x, const at::Tensor& branch) const {
  // A bfloat16 branch is promoted: the residual stream stays float32.
  return gamma.defined() ? at::addcmul(x, branch, gamma) : x + branch;
}

}  // namespace mactok
