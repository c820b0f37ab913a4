#include "kernels/loops/columns.h"

namespace mactok::loops {

MACTOK_CLONES void add_rows(const bf16* __restrict x, int64_t rows, int64_t width,
                            float* __restrict sums) {
  for (int64_t i = 0; i < rows; ++i, x += width) {
    for (int64_t j = 0; j < width; ++j) sums[j] += widen(x[j]);
  }
}

}  // namespace mactok::loops
