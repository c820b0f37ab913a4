#pragma once

#include "kernels/loops/float.h"
#include "runtime/torch.h"

namespace mactok::kernels {

/** How many runs: enough for the cores of a large machine, few enough that their sums are cheap to add. */
constexpr int64_t kRuns = 32;

/** f(run, begin, end) for equal parts of [0, count), in parallel. Sums for each run do not depend on the number of threads. */
template <typename F>
void for_runs(int64_t count, const F& f, int64_t runs = kRuns) {
  at::parallel_for(0, runs, 1, [&](int64_t first, int64_t last) {
    for (int64_t run = first; run < last; ++run) {
      f(run, count * run / runs, count * (run + 1) / runs);
    }
  });
}

/** The sums of each run, float32 [runs, D], added up: [D]. */
at::Tensor sum_of_runs(const at::Tensor& sums);

/** Factors of rows' channels, [D] for all rows or [G, …, D] for G equal groups of rows, and the runs whose sums are their gradient. */
class RowFactors {
 public:
  RowFactors(const at::Tensor& factors, int64_t width)
      : groups_(factors.numel() / width), width_(width) {}

  int64_t runs() const { return groups_ == 1 ? kRuns : groups_; }
  /** Where run `run` finds its factors. */
  int64_t offset(int64_t run) const { return groups_ == 1 ? 0 : run * width_; }
  /** Sums [runs, D] -> the gradient of factors of this shape. */
  at::Tensor gradient(const at::Tensor& sums, at::IntArrayRef shape) const {
    return (groups_ == 1 ? sum_of_runs(sums) : sums).view(shape);
  }

 private:
  int64_t groups_, width_;
};

/** f(T()) with what loops take for a bfloat16 or float32 tensor. */
template <typename F>
void with_type(const at::Tensor& x, const F& f) {
  if (x.scalar_type() == at::kBFloat16) {
    f(loops::bf16());
  } else {
    TORCH_CHECK(x.scalar_type() == at::kFloat, "expected bfloat16 or float32");
    f(float());
  }
}

/** A contiguous tensor's elements as loops take them. */
template <typename T>
T* elements(const at::Tensor& x) {
  return static_cast<T*>(x.data_ptr());
}

/** Whether our kernels serve x: on a CPU in float32 or under bfloat16 autocast. Elsewhere LibTorch's operations do. */
bool serve(const at::Tensor& x);

/** What matrix products take where our kernels serve: bfloat16 under autocast, else float32. */
at::ScalarType product_type();

}  // namespace mactok::kernels
