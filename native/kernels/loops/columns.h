#pragma once

#include <cstdint>

#include "kernels/loops/float.h"

namespace mactok::loops {

/** Adds each row of x [rows, width] to sums [width]. */
void add_rows(const bf16* x, int64_t rows, int64_t width, float* sums);

}  // namespace mactok::loops
