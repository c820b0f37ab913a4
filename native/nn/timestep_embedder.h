#pragma once

#include "runtime/torch.h"

#include <memory>

#include "nn/linear.h"

namespace mactok {

/**
 * Embeds times as DiT: 256 cosines and sines of falling frequency, then Linear, SiLU, Linear
 * (`mlp.0`, `mlp.2`).
 */
class TimestepEmbedder : public torch::nn::Module {
 public:
  explicit TimestepEmbedder(int64_t width);

  /** times: [B] in [0, 1] -> [B, width]. */
  at::Tensor forward(const at::Tensor& times) const;

 private:
  std::shared_ptr<Linear> first_, second_;
};

}  // namespace mactok
