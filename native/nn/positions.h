#pragma once

#include "runtime/torch.h"

#include <array>

namespace mactok {

/**
 * Resamples position embeddings [1, prefix + h·w, D] to another grid, bicubically with antialias;
 * the prefix (`cls`) is kept. from, to: {height, width} in patches. Agrees with timm's
 * resample_abs_pos_embed.
 */
at::Tensor resample_positions(const at::Tensor& pos, int64_t prefix, std::array<int64_t, 2> from,
                              std::array<int64_t, 2> to);

/**
 * Resamples a patch-embedding kernel [D, 3, p, p] to another patch size: the least-squares kernel
 * that maps resized patches to the old embeddings of the originals (by the pseudo-inverse of the
 * bicubic antialiased resize). Agrees with timm's resample_patch_embed.
 */
at::Tensor resample_patch_kernel(const at::Tensor& kernel, int64_t patch);

}  // namespace mactok
