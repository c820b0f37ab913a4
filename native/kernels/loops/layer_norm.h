#pragma once

#include <cstdint>

#include "kernels/loops/float.h"

namespace mactok::loops {

/** Rows x [rows, width] -> (x − mean)·rstd·weight + bias; keeps mean and rstd [rows]. */
void layer_norm(const float* x, const float* weight, const float* bias, float eps, int64_t rows,
                int64_t width, bf16* out, float* mean, float* rstd);

/** dx [rows, width] from dy; adds to dweight and dbias [width]. */
void layer_norm_backward(const bf16* dy, const float* x, const float* weight, const float* mean,
                         const float* rstd, int64_t rows, int64_t width, float* dx, float* dweight,
                         float* dbias);

}  // namespace mactok::loops
