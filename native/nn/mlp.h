#pragma once

#include "runtime/torch.h"

#include <memory>

#include "nn/linear.h"

namespace mactok {

enum class Mlp {
  /** fc2(gelu(fc1(x))), exact GELU. */
  gelu,
  /** The same with GELU's tanh approximation (DiT, SiT). */
  gelu_tanh,
  /**
   * fc2(silu(a) ⊙ b) with a, b the halves of fc1(x): timm's SwiGLUPacked, DINOv2-g's w12 and w3.
   */
  swiglu,
};

/**
 * The MLP of a transformer block. `hidden` is fc1's width, so SwiGLU's inner width is half of it,
 * as in timm.
 */
class MlpLayer : public torch::nn::Module {
 public:
  MlpLayer(int64_t width, int64_t hidden, Mlp kind);

  /** [B, T, width] -> [B, T, width]. */
  at::Tensor forward(const at::Tensor& x) const;

 private:
  Mlp kind_;
  std::shared_ptr<Linear> fc1_, fc2_;
};

}  // namespace mactok
