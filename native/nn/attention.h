#pragma once

#include "runtime/torch.h"

#include <memory>

#include "nn/linear.h"
#include "nn/rms_norm.h"

namespace mactok {

/**
 * Multi-head self-attention with one packed projection `qkv` [3·width, width] (queries, keys,
 * values; heads within each).
 */
class Attention : public torch::nn::Module {
 public:
  /**
   * width must be a multiple of heads. qk_norm: RMS norms `q_norm` and `k_norm` [width/heads] of
   * queries and keys.
   */
  Attention(int64_t width, int64_t heads, bool qk_norm = false);

  /**
   * x: [B, T, width] -> [B, keep, width]. Only the first `keep` tokens are queries; all of them are
   * keys and values. rotation: rope::rotation's [heads or 1, T, width/heads/2], or undefined.
   */
  at::Tensor forward(const at::Tensor& x, int64_t keep, const at::Tensor& rotation) const;

 private:
  int64_t width_, heads_;
  std::shared_ptr<Linear> qkv_, proj_;
  std::shared_ptr<RmsNorm> q_norm_, k_norm_;
};

}  // namespace mactok
