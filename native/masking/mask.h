#pragma once

#include "runtime/torch.h"

#include <cstdint>
#include <string>

/**
 * Which tokens are hidden in training. All draws are functions of (seed, step, sample index): streams `mask/ratio`, `mask/semantic`
 * and `mask/random`.
 */
namespace mactok {

struct MaskOptions {
  std::string target;  ///< "image", "latent" or "none": what the caller masks
  double min_ratio;    ///< may be negative: that share of the draws masks nothing
  double max_ratio;    ///< M
  double semantic;     ///< probability of a semantic mask instead of a random one
  bool per_batch;      ///< one ratio and one coin for the whole batch
};

/** m ~ U[min, max] clipped to [0, max], float64 [B] on the CPU; row i is sample first_index + i. */
at::Tensor draw_ratios(const MaskOptions& options, uint64_t seed, uint64_t step,
                       uint64_t first_index, int64_t batch);

/** ⌈m·tokens⌉, int64 [B], in double precision. */
at::Tensor mask_counts(const at::Tensor& ratios, int64_t tokens);

/** True for the `counts` [B] highest of each row of scores [B, N]; ties go to the lower index. bool [B, N], no synchronisation. */
at::Tensor rank_mask(const at::Tensor& scores, const at::Tensor& counts);

/**
 * Training masks, bool [batch, tokens] on `device`: each row the ⌈m·tokens⌉ highest of the semantic scores or, by a coin, of uniform
 * draws. semantic_scores: [batch, tokens] (see semantic_scores in models/teacher.h), or undefined for random masks only.
 */
at::Tensor image_mask(const MaskOptions& options, const at::Tensor& semantic_scores, uint64_t seed,
                      uint64_t step, uint64_t first_index, int64_t batch, int64_t tokens,
                      at::Device device);

}  // namespace mactok
