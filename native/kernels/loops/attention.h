#pragma once

#include <cstdint>

#include "kernels/loops/float.h"

namespace mactok::loops {

/**
 * One image's tokens [tokens, stride], of which `heads` × `size` numbers are read -> [heads,
 * tokens, size], times scale.
 */
template <typename T>
void split_heads(const T* tokens_first, int64_t stride, int64_t tokens, int64_t heads, int64_t size,
                 float scale, T* out);

/** The reverse: [heads, tokens, size] -> [tokens, stride], times scale. */
template <typename T>
void join_heads(const T* heads_first, int64_t stride, int64_t tokens, int64_t heads, int64_t size,
                float scale, T* out);

/** Softmax of each row of x [rows, width], in place; accumulated in float32. scratch: [width]. */
template <typename T>
void softmax(T* x, int64_t rows, int64_t width, float* scratch);

/** dy [rows, width] becomes the gradient of softmax's input, y its output. */
template <typename T>
void softmax_backward(const T* y, T* dy, int64_t rows, int64_t width);

}  // namespace mactok::loops
