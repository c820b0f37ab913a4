#pragma once

#include <cstdint>

#include "kernels/loops/float.h"

namespace mactok::loops {

/** Rows x [rows, width] -> (x − mean)·rstd·weight + bias; keeps mean and rstd [rows]. */
template <typename T>
void layer_norm(const float* x, const float* weight, const float* bias, float eps, int64_t rows,
                int64_t width, T* out, float* mean, float* rstd);

/** dx [rows, width] from dy; adds to dweight and dbias [width]. */
template <typename T>
void layer_norm_backward(const T* dy, const float* x, const float* weight, const float* mean,
                         const float* rstd, int64_t rows, int64_t width, float* dx, float* dweight,
                         float* dbias);

}  // namespace mactok::loops
