#pragma once

#include <cstdint>

#include "kernels/loops/float.h"

namespace mactok::loops {

/** out = gelu(x); with `keep` x becomes gelu'(x). Exact (Φ to 1e-5), or by the tanh approximation. */
void gelu(bf16* x, int64_t count, bool keep, bf16* out);
void gelu_tanh(bf16* x, int64_t count, bool keep, bf16* out);

/** out = a·b. */
void product(const bf16* a, const bf16* b, int64_t count, bf16* out);

}  // namespace mactok::loops
