#pragma once

#include "runtime/torch.h"

#include <vector>

#include "runtime/random.h"

namespace mactok {

/** What training masks: patches of the image before the encoder, or latents before the decoder. */
enum class MaskTarget { image, latent, none };

/** Whether each image or the whole batch draws a ratio and the kind of mask. */
enum class MaskUnit { image, batch };

struct MaskOptions {
  MaskTarget target;
  /** Lowest masking ratio; where it is negative, that share of the draws masks nothing. */
  double min_ratio;
  /** Highest masking ratio, M. */
  double max_ratio;
  /** Probability of a semantic mask instead of a random one. */
  double semantic;
  MaskUnit per;
};

/** Uniforms in [0, 1) from the streams `mask/ratio`, `mask/random` and `mask/semantic`. */
struct MaskDraws {
  /** [B, 1], or [1, 1] per batch. */
  at::Tensor ratio;
  /** [B, N], the scores of random masks. */
  at::Tensor random;
  /** As `ratio`; undefined without semantic scores. */
  at::Tensor semantic;

  std::vector<at::Tensor*> tensors() { return {&ratio, &random, &semantic}; }
};

/** What the masks of a micro-batch with `tokens` tokens draw, on the host. */
MaskDraws draw_mask(const MaskOptions& options, const random::Samples& samples, int64_t tokens,
                    bool semantic);

/**
 * Whether each element is among the `counts` [B or 1, 1] highest of its row of scores [B, N]; ties
 * go to the lower index. bool [B, N]. The host does not wait for the device.
 */
at::Tensor rank_mask(const at::Tensor& scores, const at::Tensor& counts);

/**
 * Training masks, bool [B, N]: each row masks the ⌈m·N⌉ tokens with the highest semantic scores or,
 * by a coin flip, the highest uniform draws, where m ~ U[min, max] clipped to [0, max] in float64.
 * semantic_scores: [B, N] (see semantic_scores in models/teacher.h), or undefined for random masks.
 */
at::Tensor image_mask(const MaskOptions& options, const at::Tensor& semantic_scores,
                      const MaskDraws& draws);

}  // namespace mactok
