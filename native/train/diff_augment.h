#pragma once

#include "runtime/torch.h"

/**
 * DiffAugment (Zhao et al. 2020): differentiable augmentation of what the discriminator sees.
 */
namespace mactok {

struct DiffAugmentOptions {
  /** Probability of each policy, which one coin flip decides for the whole batch. */
  double probability;
  /** Brightness, saturation and contrast. */
  bool color;
  /** Largest shift as a fraction of the side; 0: none. */
  double translation;
  /** Side of the grey square as a fraction of the image's; 0: none. */
  double cutout;
};

/** Uniforms in [0, 1), float32. */
struct DiffAugmentDraws {
  /**
   * [B, 7]: brightness, saturation, contrast, shift down and right, row and column of the cutout.
   */
  at::Tensor strengths;
  /** [1, 3], for the whole batch: whether colour, translation and cutout apply. */
  at::Tensor coins;
};

/**
 * images: [B, 3, H, W] -> the same shape. Brightness ±½, saturation × [0, 2), contrast × [½, 1½);
 * pixels that are shifted in or cut out are 0.
 */
at::Tensor diff_augment(const at::Tensor& images, const DiffAugmentOptions& options,
                        const DiffAugmentDraws& draws);

}  // namespace mactok
