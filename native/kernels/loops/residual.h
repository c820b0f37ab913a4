#pragma once

#include <cstdint>

#include "kernels/loops/float.h"

namespace mactok::loops {

/** out = x + gamma ⊙ branch, rows [rows, width]. */
template <typename T>
void residual(const float* x, const T* branch, const float* gamma, int64_t rows, int64_t width,
              float* out);

/** dbranch = dy ⊙ gamma; adds Σ dy ⊙ branch to dgamma [width]. */
template <typename T>
void residual_backward(const float* dy, const T* branch, const float* gamma, int64_t rows,
                       int64_t width, T* dbranch, float* dgamma);

}  // namespace mactok::loops
