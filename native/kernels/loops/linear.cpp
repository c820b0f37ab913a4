#include "kernels/loops/linear.h"

#include <algorithm>
#include <cstring>

namespace mactok::loops {
namespace {

constexpr int64_t kTile = 8;

/** A row of a tile, which is 8 × 8. */
using Eight = bf16 __attribute__((vector_size(kTile * sizeof(bf16))));

/** Transposes a tile: interleaves each row with the one four below, three times. */
[[gnu::always_inline]] inline void transpose(Eight (&tile)[kTile]) {
  for (int stage = 0; stage < 3; ++stage) {
    Eight mixed[kTile];
    for (int i = 0; i < kTile / 2; ++i) {
      const Eight a = tile[i], b = tile[i + kTile / 2];
      mixed[2 * i] = __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
      mixed[2 * i + 1] = __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
    }
    for (int i = 0; i < kTile; ++i) tile[i] = mixed[i];
  }
}

template <typename T>
inline T as(bf16 bits) {
  if constexpr (std::is_same_v<T, float>) {
    return widen(bits);
  } else {
    return bits;
  }
}

template <typename T>
[[gnu::always_inline]] inline void transpose_tile(const bf16* x, int64_t stride, T* out,
                                                  int64_t out_stride) {
  Eight tile[kTile];
  for (int i = 0; i < kTile; ++i) std::memcpy(&tile[i], x + i * stride, sizeof(Eight));
  transpose(tile);
  for (int i = 0; i < kTile; ++i) {
    T* to = out + i * out_stride;
    for (int j = 0; j < kTile; ++j) to[j] = as<T>(tile[i][j]);
  }
}

}  // namespace

template <typename T>
MACTOK_CLONES void transpose(const bf16* x, int64_t stride, int64_t rows, int64_t columns, T* out,
                             int64_t out_stride) {
  for (int64_t c = 0; c < columns; c += kTile) {
    for (int64_t r = 0; r < rows; r += kTile) {
      if (r + kTile <= rows && c + kTile <= columns) {
        transpose_tile(x + r * stride + c, stride, out + c * out_stride + r, out_stride);
        continue;
      }
      for (int64_t i = c; i < std::min(c + kTile, columns); ++i) {
        for (int64_t j = r; j < std::min(r + kTile, rows); ++j) {
          out[i * out_stride + j] = as<T>(x[j * stride + i]);
        }
      }
    }
  }
}

template <typename T>
MACTOK_CLONES void add_rows(const T* __restrict x, int64_t rows, int64_t width,
                            float* __restrict sums) {
  for (int64_t i = 0; i < rows; ++i, x += width) {
    for (int64_t j = 0; j < width; ++j) sums[j] += widen(x[j]);
  }
}

template void transpose(const bf16*, int64_t, int64_t, int64_t, bf16*, int64_t);
template void transpose(const bf16*, int64_t, int64_t, int64_t, float*, int64_t);
template void add_rows(const bf16*, int64_t, int64_t, float*);
template void add_rows(const float*, int64_t, int64_t, float*);

}  // namespace mactok::loops
