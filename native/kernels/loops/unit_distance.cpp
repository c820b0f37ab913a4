#include "kernels/loops/unit_distance.h"

#include <cmath>

namespace mactok::loops {
namespace {

template <typename T>
[[gnu::always_inline]] inline float length(const T* x, int64_t width) {
  float squares = 0;
#pragma omp simd reduction(+ : squares)
  for (int64_t j = 0; j < width; ++j) squares += widen(x[j]) * widen(x[j]);
  return std::sqrt(squares);
}

}  // namespace

template <typename T>
MACTOK_CLONES void unit_distance(const T* __restrict x, const T* __restrict y,
                                 const float* __restrict weight, float eps, int64_t rows,
                                 int64_t width, float* __restrict distance) {
  for (int64_t i = 0; i < rows; ++i, x += width, y += width) {
    const float size = length(x, width) + eps, ratio = size / (length(y, width) + eps);
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t j = 0; j < width; ++j) {
      const float apart = widen(x[j]) - widen(y[j]) * ratio;  // exactly 0 for equal rows
      sum += weight[j] * apart * apart;
    }
    distance[i] = sum / size / size;
  }
}

template <typename T>
MACTOK_CLONES void unit_distance_backward(const T* __restrict x, const T* __restrict y,
                                          const float* __restrict weight, float eps,
                                          const float* __restrict upstream, int64_t rows,
                                          int64_t width, T* __restrict dx) {
  for (int64_t i = 0; i < rows; ++i, x += width, y += width, dx += width) {
    const float exact = length(x, width), size = exact + eps;
    const float ratio = size / (length(y, width) + eps);
    float along = 0;  // Σ g·x, with g the gradient of x's unit vector but for a factor
#pragma omp simd reduction(+ : along)
    for (int64_t j = 0; j < width; ++j) {
      along += weight[j] * (widen(x[j]) - widen(y[j]) * ratio) * widen(x[j]);
    }
    const float factor = 2 * upstream[i] / size / size;
    const float back = exact > 0 ? along / size / exact : 0;
    for (int64_t j = 0; j < width; ++j) {
      const float value = widen(x[j]);
      dx[j] = narrow<T>(factor * (weight[j] * (value - widen(y[j]) * ratio) - back * value));
    }
  }
}

template void unit_distance(const bf16*, const bf16*, const float*, float, int64_t, int64_t,
                            float*);
template void unit_distance(const float*, const float*, const float*, float, int64_t, int64_t,
                            float*);
template void unit_distance_backward(const bf16*, const bf16*, const float*, float, const float*,
                                     int64_t, int64_t, bf16*);
template void unit_distance_backward(const float*, const float*, const float*, float, const float*,
                                     int64_t, int64_t, float*);

}  // namespace mactok::loops
