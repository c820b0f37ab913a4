#pragma once

#include "runtime/torch.h"

namespace mactok {

/** A learned factor `gamma` [width] for each channel of a residual branch, or none. */
class LayerScale : public torch::nn::Module {
 public:
  /** Without `enabled` there is no parameter and `residual` is a plain sum. */
  LayerScale(int64_t width, bool enabled);

  /** x + gamma ⊙ branch, both [B, T, width]. */
  at::Tensor residual(const at::Tensor& x, const at::Tensor& branch) const;

  at::Tensor gamma;
};

}  // namespace mactok
