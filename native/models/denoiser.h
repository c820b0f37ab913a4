#pragma once

#include "runtime/torch.h"

#include <cstdint>
#include <vector>

namespace mactok {

/** A network that predicts a flow's velocity, noise or score from noisy latents, time and class. */
class Denoiser : public torch::nn::Module {
 public:
  /**
   * latents: float32 [B, L, Z] or [B, C, H, W]; times: float32 [B], in the network's own direction;
   * labels: int64 [B], `classes()` for none -> float32 of the latents' shape.
   */
  virtual at::Tensor forward(const at::Tensor& latents, const at::Tensor& times,
                             const at::Tensor& labels) const = 0;

  /** [L, Z] or [C, H, W]. */
  virtual const std::vector<int64_t>& latent_shape() const = 0;

  /** The number of classes, which is also the label for none. */
  virtual int64_t classes() const = 0;

  /**
   * Recompute each block in the backward pass instead of keeping its activations. The gradients are
   * the same.
   */
  virtual void set_checkpointing(bool enabled) = 0;
};

}  // namespace mactok
