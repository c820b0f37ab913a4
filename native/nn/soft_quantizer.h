#pragma once

#include "runtime/torch.h"

#include <cstdint>

namespace mactok {

struct SoftQuantizerOptions {
  /** K: each of K runs of L/K tokens has its own codebook. */
  int64_t codebooks;
  /** Codes in each. */
  int64_t codebook_size;
  /** Temperature of the softmax over codes. */
  double temperature;
  /** Scale tokens and codes to unit length. */
  bool normalise;
};

/**
 * SoftVQ (Chen et al. 2024): replaces each token by the average of its codebook's codes, weighted
 * by a softmax of their similarity.
 */
class SoftQuantizer : public torch::nn::Module {
 public:
  SoftQuantizer(const SoftQuantizerOptions& options, int64_t channels);

  /** x: float32 [B, L, Z] -> float32 [B, L, Z]. */
  at::Tensor forward(const at::Tensor& x) const;

  /** [K, codebook_size, Z]. */
  at::Tensor embedding;

 private:
  SoftQuantizerOptions options_;
};

}  // namespace mactok
