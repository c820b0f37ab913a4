#pragma once

#include "runtime/torch.h"

#include <string>

#include "runtime/random.h"

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

/** What a micro-batch's masks of `tokens` tokens draw: the three streams, the coins only with `semantic` scores. On the host. */
Draws draw_mask(const MaskOptions& options, const random::Samples& samples, int64_t tokens,
                bool semantic);

/** True for the `counts` [B | 1, 1] highest of each row of scores [B, N]; ties go to the lower index. bool [B, N], no synchronisation. */
at::Tensor rank_mask(const at::Tensor& scores, const at::Tensor& counts);

/**
 * Training masks, bool [batch, tokens]: each row the ⌈m·tokens⌉ highest of the semantic scores or, by a coin, of uniform draws, where
 * m ~ U[min, max] clipped to [0, max] in double precision. semantic_scores: [batch, tokens] (see semantic_scores in
 * models/teacher.h), or undefined for random masks only.
 */
at::Tensor image_mask(const MaskOptions& options, const at::Tensor& semantic_scores,
                      const Draws& draws);

}  // namespace mactok
