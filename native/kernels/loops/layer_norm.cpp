#include "kernels/loops/layer_norm.h"

#include <cmath>

namespace mactok::loops {

template <typename T>
MACTOK_CLONES void layer_norm(const float* __restrict x, const float* __restrict weight,
                              const float* __restrict bias, float eps, int64_t rows, int64_t width,
                              T* __restrict out, float* __restrict mean, float* __restrict rstd) {
  const float part = 1 / static_cast<float>(width);
  for (int64_t i = 0; i < rows; ++i, x += width, out += width) {
    float sum = 0, squares = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t j = 0; j < width; ++j) sum += x[j];
    const float m = sum * part;
#pragma omp simd reduction(+ : squares)
    for (int64_t j = 0; j < width; ++j) squares += (x[j] - m) * (x[j] - m);
    const float r = 1 / std::sqrt(squares * part + eps);
    for (int64_t j = 0; j < width; ++j) out[j] = narrow<T>((x[j] - m) * r * weight[j] + bias[j]);
    mean[i] = m;
    rstd[i] = r;
  }
}

template <typename T>
MACTOK_CLONES void layer_norm_backward(const T* __restrict dy, const float* __restrict x,
                                       const float* __restrict weight, const float* __restrict mean,
                                       const float* __restrict rstd, int64_t rows, int64_t width,
                                       float* __restrict dx, float* __restrict dweight,
                                       float* __restrict dbias) {
  const float part = 1 / static_cast<float>(width);
  for (int64_t i = 0; i < rows; ++i, x += width, dy += width, dx += width) {
    const float m = mean[i], r = rstd[i];
    float along = 0, across = 0;  // Σ g·x̂ and Σ g, with g = dy·weight
#pragma omp simd reduction(+ : along, across)
    for (int64_t j = 0; j < width; ++j) {
      const float d = widen(dy[j]), normal = (x[j] - m) * r;
      dweight[j] += d * normal;
      dbias[j] += d;
      along += d * weight[j] * normal;
      across += d * weight[j];
    }
    along *= part;
    across *= part;
    for (int64_t j = 0; j < width; ++j) {
      dx[j] = r * (widen(dy[j]) * weight[j] - across - (x[j] - m) * r * along);
    }
  }
}

template void layer_norm(const float*, const float*, const float*, float, int64_t, int64_t, bf16*,
                         float*, float*);
template void layer_norm_backward(const bf16*, const float*, const float*, const float*,
                                  const float*, int64_t, int64_t, float*, float*, float*);
template void layer_norm(const float*, const float*, const float*, float, int64_t, int64_t, float*,
                         float*, float*);
template void layer_norm_backward(const float*, const float*, const float*, const float*,
                                  const float*, int64_t, int64_t, float*, float*, float*);

}  // namespace mactok::loops
