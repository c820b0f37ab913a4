#include "nn/layer_scale.h"

#include "kernels/chunks.h"
#include "kernels/residual.h"

namespace mactok {

LayerScale::LayerScale(int64_t width, bool enabled) {
  if (enabled) gamma = register_parameter("gamma", at::empty({width}));
}

at::Tensor LayerScale::residual(const at::Tensor& x, const at::Tensor& branch) const {
  if (gamma.defined() && kernels::supports(x) && x.scalar_type() == at::kFloat &&
      branch.scalar_type() == kernels::product_type()) {
    return kernels::residual(x, branch, gamma);
  }
  // A bfloat16 branch is promoted: the residual stream stays float32.
  return gamma.defined() ? at::addcmul(x, branch, gamma) : x + branch;
}

}  // namespace mactok
