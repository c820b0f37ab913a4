#pragma once

#include <torch/torch.h>

#include <memory>

#include "nn/linear.h"

namespace mactok {

/** Multi-head self-attention with one packed projection `qkv` [3·width, width] (queries, keys, values; heads inside each). */
class Attention : public torch::nn::Module {
 public:
  /** width must be a multiple of heads. */
  Attention(int64_t width, int64_t heads);

  /**
   * x: [B, T, width] -> [B, keep, width]. Only the first `keep` tokens ask; keys and values come from all of them.
   * rotation: rope::rotation's [heads, T, width/heads/2], or undefined for none.
   */
  at::Tensor forward(const at::Tensor& x, int64_t keep, const at::Tensor& rotation) const;

 private:
  int64_t width_, heads_;
  std::shared_ptr<Linear> qkv_, proj_;
};

}  // namespace mactok
