#pragma once

#include <cstdint>

#include "kernels/loops/float.h"

namespace mactok::loops {

/** out = x + gamma ⊙ branch, rows [rows, width]. */
void residual(const float* x, const bf16* branch, const float* gamma, int64_t rows, int64_t width,
              float* out);

/** dbranch = dy ⊙ gamma; adds Σ dy ⊙ branch to dgamma [width]. */
void residual_backward(const float* dy, const bf16* branch, const float* gamma, int64_t rows,
                       int64_t width, bf16* dbranch, float* dgamma);

}  // namespace mactok::loops
