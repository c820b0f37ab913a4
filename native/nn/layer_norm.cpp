#include "nn/layer_norm.h"

#include "kernels/chunks.h"
#include "kernels/layer_norm.h"

namespace mactok {

LayerNorm::LayerNorm(int64_t width, double eps)
    : weight(register_parameter("weight", at::empty({width}))),
      bias(register_parameter("bias", at::empty({width}))),
      eps_(eps) {}

at::Tensor LayerNorm::forward(const at::Tensor& x) const {
  return at::layer_norm(x.to(at::kFloat), weight.sizes(), weight, bias, eps_);
}

at::Tensor LayerNorm::for_product(const at::Tensor& x) const {
  return kernels::supports(x) && x.scalar_type() == at::kFloat
             ? kernels::layer_norm(x, weight, bias, eps_)
             : forward(x);
}

}  // namespace mactok
