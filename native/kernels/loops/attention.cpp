#include "kernels/loops/attention.h"

#include <cstring>

namespace mactok::loops {
namespace {

template <typename T>
[[gnu::always_inline]] inline void copy(const T* __restrict from, int64_t size, float scale,
                                        T* __restrict to) {
  if (scale == 1) {
    std::memcpy(to, from, static_cast<size_t>(size) * sizeof(T));
  } else {
    for (int64_t i = 0; i < size; ++i) to[i] = narrow<T>(widen(from[i]) * scale);
  }
}

}  // namespace

template <typename T>
MACTOK_CLONES void split_heads(const T* tokens_first, int64_t stride, int64_t tokens, int64_t heads,
                               int64_t size, float scale, T* out) {
  for (int64_t h = 0; h < heads; ++h) {
    for (int64_t t = 0; t < tokens; ++t, out += size) {
      copy(tokens_first + t * stride + h * size, size, scale, out);
    }
  }
}

template <typename T>
MACTOK_CLONES void join_heads(const T* heads_first, int64_t stride, int64_t tokens, int64_t heads,
                              int64_t size, float scale, T* out) {
  for (int64_t h = 0; h < heads; ++h) {
    for (int64_t t = 0; t < tokens; ++t, heads_first += size) {
      copy(heads_first, size, scale, out + t * stride + h * size);
    }
  }
}

template <typename T>
MACTOK_CLONES void softmax(T* __restrict x, int64_t rows, int64_t width,
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
      scratch[j] = exponential<T>(widen(x[j]) - most);
      sum += scratch[j];
    }
    const float factor = 1 / sum;
    for (int64_t j = 0; j < width; ++j) x[j] = narrow<T>(scratch[j] * factor);
  }
}

template <typename T>
MACTOK_CLONES void softmax_backward(const T* __restrict y, T* __restrict dy, int64_t rows,
                                    int64_t width) {
  for (int64_t i = 0; i < rows; ++i, y += width, dy += width) {
    float dot = 0;
#pragma omp simd reduction(+ : dot)
    for (int64_t j = 0; j < width; ++j) dot += widen(y[j]) * widen(dy[j]);
    for (int64_t j = 0; j < width; ++j) dy[j] = narrow<T>(widen(y[j]) * (widen(dy[j]) - dot));
  }
}

template void split_heads(const bf16*, int64_t, int64_t, int64_t, int64_t, float, bf16*);
template void split_heads(const float*, int64_t, int64_t, int64_t, int64_t, float, float*);
template void join_heads(const bf16*, int64_t, int64_t, int64_t, int64_t, float, bf16*);
template void join_heads(const float*, int64_t, int64_t, int64_t, int64_t, float, float*);
template void softmax(bf16*, int64_t, int64_t, float*);
template void softmax(float*, int64_t, int64_t, float*);
template void softmax_backward(const bf16*, bf16*, int64_t, int64_t);
template void softmax_backward(const float*, float*, int64_t, int64_t);

}  // namespace mactok::loops
