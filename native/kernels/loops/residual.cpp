#include "kernels/loops/residual.h"

namespace mactok::loops {

MACTOK_CLONES void residual(const float* __restrict x, const bf16* __restrict branch,
                            const float* __restrict gamma, int64_t rows, int64_t width,
                            float* __restrict out) {
  for (int64_t i = 0; i < rows; ++i, x += width, branch += width, out += width) {
    for (int64_t j = 0; j < width; ++j) out[j] = x[j] + gamma[j] * widen(branch[j]);
  }
}

MACTOK_CLONES void residual_backward(const float* __restrict dy, const bf16* __restrict branch,
                                     const float* __restrict gamma, int64_t rows, int64_t width,
                                     bf16* __restrict dbranch, float* __restrict dgamma) {
  for (int64_t i = 0; i < rows; ++i, dy += width, branch += width, dbranch += width) {
    for (int64_t j = 0; j < width; ++j) {
      dgamma[j] += dy[j] * widen(branch[j]);
      dbranch[j] = narrow(dy[j] * gamma[j]);
    }
  }
}

}  // namespace mactok::loops
