#pragma once

#include "runtime/torch.h"

#include <cstdint>
#include <string>

/** DiffAugment (Zhao et al. 2020): what the discriminator sees is augmented, and gradients pass. */
namespace mactok {

struct DiffAugmentOptions {
  double probability;  ///< of each policy, by one coin for the whole batch
  bool color;          ///< brightness, saturation, contrast
  double translation;  ///< largest shift as a part of the side; 0: none
  double cutout;       ///< side of the grey square as a part of the picture's; 0: none
};

/** What a call draws, on the host: uniforms in [0, 1) and which policies act. */
struct DiffAugmentDraws {
  /** float32 [B, 7]: brightness, saturation, contrast, shift down and right, cutout's row and column. */
  at::Tensor strengths;
  bool color, translation, cutout;
};

/** A function of (seed, stream, step): coins of the whole batch, strengths of samples first_index, first_index + 1, … */
DiffAugmentDraws draw_augmentation(const DiffAugmentOptions& options, uint64_t seed,
                                   const std::string& stream, uint64_t step, uint64_t first_index,
                                   int64_t batch);

/** images: [B, 3, H, W] -> the same shape. Brightness ±½, saturation × [0, 2), contrast × [½, 1½); what is shifted in or cut out is 0. */
at::Tensor diff_augment(const at::Tensor& images, const DiffAugmentOptions& options,
                        const DiffAugmentDraws& draws);

}  // namespace mactok
