#include "kernels/loops/residual.h"

namespace mactok::loops {

template <typename T>
MACTOK_CLONES void residual(const float* __restrict x, const T* __restrict branch,
                            const float* __restrict gamma, int64_t rows, int64_t width,
                            float* __restrict out) {
  for (int64_t i = 0; i < rows; ++i, x += width, branch += width, out += width) {
    for (int64_t j = 0; j < width; ++j) out[j] = x[j] + gamma[j] * widen(branch[j]);
  }
}

template <typename T>
MACTOK_CLONES void residual_backward(const float* __restrict dy, const T* __restrict branch,
                                     const float* __restrict gamma, int64_t rows, int64_t width,
                                     T* __restrict dbranch, float* __restrict dgamma) {
  for (int64_t i = 0; i < rows; ++i, dy += width, branch += width, dbranch += width) {
    for (int64_t j = 0; j < width; ++j) {
      dgamma[j] += dy[j] * widen(branch[j]);
      dbranch[j] = narrow<T>(dy[j] * gamma[j]);
    }
  }
}

template void residual(const float*, const bf16*, const float*, int64_t, int64_t, float*);
template void residual_backward(const float*, const bf16*, const float*, int64_t, int64_t, bf16*,
                                float*);
template void residual(const float*, const float*, const float*, int64_t, int64_t, float*);
template void residual_backward(const float*, const float*, const float*, int64_t, int64_t, float*,
                                float*);

}  // namespace mactok::loops
