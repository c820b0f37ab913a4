#pragma once

#include <cstdint>

#include "kernels/loops/float.h"

namespace mactok::loops {

/** One picture's tokens [tokens, stride], of which `heads` × `size` numbers count -> heads [heads, tokens, size], times scale. */
void split_heads(const bf16* tokens_first, int64_t stride, int64_t tokens, int64_t heads,
                 int64_t size, float scale, bf16* out);

/** The other way: [heads, tokens, size] -> [tokens, stride], times scale. */
void join_heads(const bf16* heads_first, int64_t stride, int64_t tokens, int64_t heads,
                int64_t size, float scale, bf16* out);

/** Softmax of each row of x [rows, width] in its place; summed in float32. scratch: [width]. */
void softmax(bf16* x, int64_t rows, int64_t width, float* scratch);

/** dy [rows, width] becomes the gradient of softmax's input, y its output. */
void softmax_backward(const bf16* y, bf16* dy, int64_t rows, int64_t width);

}  // namespace mactok::loops
