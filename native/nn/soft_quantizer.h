#pragma once

#include "runtime/torch.h"

#include <cstdint>

namespace mactok {

struct SoftQuantizerOptions {
  int64_t codebooks;      ///< K; the tokens come in K runs of L/K, one codebook a run
  int64_t codebook_size;  ///< codes in each
  double temperature;     ///< of the softmax over codes
  bool normalise;         ///< compare and mix directions: tokens and codes at length 1
};

/** SoftVQ (Chen et al. 2024): every token becomes the average of its codebook's codes, weighted by a softmax of its similarity. */
class SoftQuantizer : public torch::nn::Module {
 public:
  SoftQuantizer(const SoftQuantizerOptions& options, int64_t channels);

  /** x: float32 [B, L, Z] -> float32 [B, L, Z]. */
  at::Tensor forward(const at::Tensor& x) const;

  at::Tensor embedding;  ///< [K, codebook_size, Z]

 private:
  SoftQuantizerOptions options_;
};

}  // namespace mactok
