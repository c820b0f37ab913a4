#pragma once

#include <cstdint>

namespace mactok::loops {

/** Σ x², accumulated in double every 512 elements. */
double sum_of_squares(const float* x, int64_t count);

/** average += weight·(value − average), computed from the nearer end as LibTorch's lerp is. */
void lerp(float* average, const float* value, float weight, int64_t count);

}  // namespace mactok::loops
