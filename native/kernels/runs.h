#pragma once

#include "runtime/torch.h"

namespace mactok::kernels {

/** How many runs: enough for the cores of a large machine, few enough that their sums are cheap to add. */
constexpr int64_t kRuns = 32;

/** f(run, begin, end) for kRuns equal parts of [0, count), in parallel. Sums for each run do not depend on the number of threads. */
template <typename F>
void for_runs(int64_t count, const F& f) {
  at::parallel_for(0, kRuns, 1, [&](int64_t first, int64_t last) {
    for (int64_t run = first; run < last; ++run) {
      f(run, count * run / kRuns, count * (run + 1) / kRuns);
    }
  });
}

/** The bits of a contiguous bfloat16 tensor. */
inline uint16_t* bits(const at::Tensor& x) {
  return reinterpret_cast<uint16_t*>(x.data_ptr<at::BFloat16>());
}

/** Whether our kernels serve x: on a CPU under bfloat16 autocast. Elsewhere LibTorch's operations do. */
bool serve(const at::Tensor& x);

}  // namespace mactok::kernels
