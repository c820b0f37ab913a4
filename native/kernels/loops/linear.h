#pragma once

#include <cstdint>

#include "kernels/loops/float.h"

namespace mactok::loops {

/**
 * x [rows, columns], whose rows lie `stride` apart, -> out [columns, rows], whose rows lie
 * `out_stride` apart.
 */
template <typename T>
void transpose(const bf16* x, int64_t stride, int64_t rows, int64_t columns, T* out,
               int64_t out_stride);

/** Adds each row of x [rows, width] to sums [width]. */
template <typename T>
void add_rows(const T* x, int64_t rows, int64_t width, float* sums);

}  // namespace mactok::loops
