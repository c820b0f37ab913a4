#pragma once

#include <cstdint>

namespace mactok::loops {

/** Σ x², added up in double every few hundred elements. */
double sum_of_squares(const float* x, int64_t count);

/** average += weight·(value − average), from the nearer end. */
void lerp(float* average, const float* value, float weight, int64_t count);

}  // namespace mactok::loops
