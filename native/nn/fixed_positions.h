#pragma once

#include "runtime/torch.h"

#include <cstdint>

/** Positions without parameters, for tokens in a sequence and patches on a grid (row by row). */
namespace mactok::positions {

/**
 * Interleaved sines and cosines: channels 2i and 2i+1 of token p are sin and cos of
 * p·10000^(−2i/D). float32 [1, tokens, width].
 */
at::Tensor sincos_1d(int64_t tokens, int64_t width);

/**
 * MAE's and DiT's: half of the channels for the column, half for the row, each with sines before
 * cosines. float32 [1, grid², width].
 */
at::Tensor sincos_2d(int64_t grid, int64_t width);

/**
 * Rotations for rope::rotate, complex64 [1, tokens, head_width/2]: pair i of token p by
 * p·theta^(−2i/d).
 */
at::Tensor rotary_1d(int64_t tokens, int64_t head_width, double theta);

/**
 * The same on a grid, [1, grid², head_width/2]: the first half of the pairs rotates by the row, the
 * second by the column (EVA-02's, as LightningDiT uses it). head_width must be a multiple of 4.
 */
at::Tensor rotary_2d(int64_t grid, int64_t head_width, double theta);

}  // namespace mactok::positions
