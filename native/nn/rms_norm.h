#pragma once

#include "runtime/torch.h"

namespace mactok {

/** x / √(mean(x²) + eps) · weight over the last dimension, always in float32; `weight` [width]. */
class RmsNorm : public torch::nn::Module {
 public:
  RmsNorm(int64_t width, double eps);

  /** [..., width] -> float32 [..., width]. */
  at::Tensor forward(const at::Tensor& x) const;

  at::Tensor weight;

 private:
  double eps_;
};

}  // namespace mactok
