#include "kernels/loops/attention.h"

#include <cstring>

namespace mactok::loops {
namespace {

[[gnu::always_inline]] inline void copy(const bf16* __restrict from, int64_t size, float scale,
                                        bf16* __restrict to) {
  if (scale == 1) {
    std::memcpy(to, from, static_cast<size_t>(size) * sizeof(bf16));
  } else {
    for (int64_t i = 0; i < size; ++i) to[i] = narrow(widen(from[i]) * scale);
  }
}

}  // namespace

MACTOK_CLONES void split_heads(const bf16* tokens_first, int64_t stride, int64_t tokens,
                               int64_t heads, int64_t size, float scale, bf16* out) {
  for (int64_t h = 0; h < heads; ++h) {
    for (int64_t t = 0; t < tokens; ++t, out += size) {
      copy(tokens_first + t * stride + h * size, size, scale, out);
    }
  }
}

MACTOK_CLONES void join_heads(const bf16* heads_first, int64_t stride, int64_t tokens,
                              int64_t heads, int64_t size, float scale, bf16* out) {
  for (int64_t h = 0; h < heads; ++h) {
    for (int64_t t = 0; t < tokens; ++t, heads_first += size) {
      copy(heads_first, size, scale, out + t * stride + h * size);
    }
  }
}

MACTOK_CLONES void softmax(bf16* __restrict x, int64_t rows, int64_t width,
                           float* __restrict scratch) {
  for (int64_t i = 0; i < rows; ++i, x += width) {
    float most = widen(x[0]), sum = 0;
#pragma omp simd reduction(max : most)
    for (int64_t j = 0; j < width; ++j) {
      const float value = widen(x[j]);
      most = most < value ? value : most;
    }
#pragma omp simd reduction(+ : sum)
    for (int64_t j = 0; j < width; ++j) {
      scratch[j] = exponential(widen(x[j]) - most);
      sum += scratch[j];
    }
    const float factor = 1 / sum;
    for (int64_t j = 0; j < width; ++j) x[j] = narrow(scratch[j] * factor);
  }
}

MACTOK_CLONES void softmax_backward(const bf16* __restrict y, bf16* __restrict dy, int64_t rows,
                                    int64_t width) {
  for (int64_t i = 0; i < rows; ++i, y += width, dy += width) {
    float dot = 0;
#pragma omp simd reduction(+ : dot)
    for (int64_t j = 0; j < width; ++j) dot += widen(y[j]) * widen(dy[j]);
    for (int64_t j = 0; j < width; ++j) dy[j] = narrow(widen(y[j]) * (widen(dy[j]) - dot));
  }
}

}  // namespace mactok::loops
