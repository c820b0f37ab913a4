#pragma once

#include <cstdint>

#include "kernels/loops/float.h"

namespace mactok::loops {

/**
 * out = gelu(x); with `keep` x becomes gelu'(x). Exact, or by the tanh approximation; as precise as
 * T (see `exponential`).
 */
template <typename T>
void gelu(T* x, int64_t count, bool keep, T* out);
template <typename T>
void gelu_tanh(T* x, int64_t count, bool keep, T* out);

/** out = a·b. */
template <typename T>
void product(const T* a, const T* b, int64_t count, T* out);

}  // namespace mactok::loops
