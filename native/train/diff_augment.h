#pragma once

#include "runtime/torch.h"

/** DiffAugment (Zhao et al. 2020): what the discriminator sees is augmented, and gradients pass. */
namespace mactok {

struct DiffAugmentOptions {
  double probability;  ///< of each policy, by one coin for the whole batch
  bool color;          ///< brightness, saturation, contrast
  double translation;  ///< largest shift as a part of the side; 0: none
  double cutout;       ///< side of the grey square as a part of the image's; 0: none
};

/** What a call draws: uniforms in [0, 1), float32. */
struct DiffAugmentDraws {
  /** [B, 7]: brightness, saturation, contrast, shift down and right, cutout's row and column. */
  at::Tensor strengths;
  /** [1, 3], of the whole batch: whether colour, translation and cutout act. */
  at::Tensor coins;
};

/** images: [B, 3, H, W] -> the same shape. Brightness ±½, saturation × [0, 2), contrast × [½, 1½); what is shifted in or cut out is 0. */
at::Tensor diff_augment(const at::Tensor& images, const DiffAugmentOptions& options,
                        const DiffAugmentDraws& draws);

}  // namespace mactok
