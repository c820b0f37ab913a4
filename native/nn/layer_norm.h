#pragma once

#include "runtime/torch.h"

namespace mactok {

/** Layer norm over the last dimension, always in float32; `weight` and `bias` [width]. */
class LayerNorm : public torch::nn::Module {
 public:
  LayerNorm(int64_t width, double eps);

  /** [..., width] -> float32 [..., width]. */
  at::Tensor forward(const at::Tensor& x) const;

  /** The same in the dtype of the next matrix product; a CPU rounds in the same pass. */
  at::Tensor for_product(const at::Tensor& x) const;

  at::Tensor weight, bias;

 private:
  double eps_;
};

}  // namespace mactok
