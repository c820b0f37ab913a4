#include "kernels/loops/foreach.h"

#include <algorithm>

namespace mactok::loops {

MACTOK_CLONES double sum_of_squares(const float* x, int64_t count) {
  constexpr int64_t kBlock = 512;
  double sum = 0;
  for (int64_t begin = 0; begin < count; begin += kBlock) {
    const int64_t end = std::min(count, begin + kBlock);
    float part = 0;
#pragma omp simd reduction(+ : part)
    for (int64_t i = begin; i < end; ++i) part += x[i] * x[i];
    sum += part;
  }
  return sum;
}

MACTOK_CLONES void lerp(float* __restrict average, const float* __restrict value, float weight,
                        int64_t count) {
  if (weight < .5F) {
    for (int64_t i = 0; i < count; ++i) average[i] += weight * (value[i] - average[i]);
  } else {
    for (int64_t i = 0; i < count; ++i) {
      average[i] = value[i] - (1 - weight) * (value[i] - average[i]);
    }
  }
}

}  // namespace mactok::loops
