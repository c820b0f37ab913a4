#pragma once

#include "runtime/torch.h"

#include <cstdint>
#include <string>

/**
 * Mixed rotary positions for images (Heo et al. 2024, as MAETok uses them): each head and frequency
 * has a learned direction in the plane, and a patch at (x, y) rotates its pair of channels by the
 * angle x·f_x + y·f_y. Only patches are rotated.
 */
namespace mactok::rope {

/**
 * The rotations of one block's tokens, complex64 [heads, tokens, D/heads/2]; patches are tokens
 * [first, first + grid²), row by row. freqs: [2 (x, y), D/2], one head after another. Computed in
 * float32 even under autocast.
 */
at::Tensor rotation(const at::Tensor& freqs, int64_t heads, int64_t grid, int64_t first,
                    int64_t tokens);

/**
 * Rotates adjacent channel pairs of x [B, heads, tokens, D/heads], in float32; the result has x's
 * dtype.
 */
at::Tensor rotate(const at::Tensor& x, const at::Tensor& rotation);

/**
 * Initial frequencies, float32 [2, depth, D/2]: magnitudes theta^(-4i/d), and one random orthogonal
 * frame per head and block.
 */
at::Tensor initial_frequencies(uint64_t seed, const std::string& name, int64_t depth, int64_t heads,
                               int64_t head_width, double theta);

}  // namespace mactok::rope
