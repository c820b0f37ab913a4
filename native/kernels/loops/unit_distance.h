#pragma once

#include <cstdint>

#include "kernels/loops/float.h"

namespace mactok::loops {

/**
 * distance [rows] = Σ weight ⊙ (x/(|x| + eps) − y/(|y| + eps))² of each row of x and y [rows,
 * width].
 */
template <typename T>
void unit_distance(const T* x, const T* y, const float* weight, float eps, int64_t rows,
                   int64_t width, float* distance);

/** dx [rows, width] from upstream [rows]; the derivative of a length of 0 is 0. */
template <typename T>
void unit_distance_backward(const T* x, const T* y, const float* weight, float eps,
                            const float* upstream, int64_t rows, int64_t width, T* dx);

}  // namespace mactok::loops
