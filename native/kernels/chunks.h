#pragma once

#include "kernels/loops/float.h"
#include "runtime/torch.h"

namespace mactok::kernels {

/** Enough for the cores of a large machine, few enough that adding up their sums is cheap. */
constexpr int64_t kChunks = 32;

/**
 * Calls f(chunk, begin, end) for equal parts of [0, count), in parallel. The parts do not depend on
 * the number of threads, so neither do sums that are kept per chunk.
 */
template <typename F>
void for_chunks(int64_t count, const F& f, int64_t chunks = kChunks) {
  at::parallel_for(0, chunks, 1, [&](int64_t first, int64_t last) {
    for (int64_t chunk = first; chunk < last; ++chunk) {
      f(chunk, count * chunk / chunks, count * (chunk + 1) / chunks);
    }
  });
}

/** Adds up the sums of all chunks: float32 [chunks, D] -> [D]. */
at::Tensor sum_chunks(const at::Tensor& sums);

/**
 * Factors per channel, [D] for all rows or [G, …, D] for G equal groups of rows, and the chunks
 * whose sums are their gradient.
 */
class RowFactors {
 public:
  RowFactors(const at::Tensor& factors, int64_t width)
      : groups_(factors.numel() / width), width_(width) {}

  int64_t chunks() const { return groups_ == 1 ? kChunks : groups_; }
  /** Where the factors of a chunk begin. */
  int64_t offset(int64_t chunk) const { return groups_ == 1 ? 0 : chunk * width_; }
  /** Sums [chunks, D] -> the gradient of factors of this shape. */
  at::Tensor gradient(const at::Tensor& sums, at::IntArrayRef shape) const {
    return (groups_ == 1 ? sum_chunks(sums) : sums).view(shape);
  }

 private:
  int64_t groups_, width_;
};

/** Calls f(T()) with the element type that loops take for a bfloat16 or float32 tensor. */
template <typename F>
void with_type(const at::Tensor& x, const F& f) {
  if (x.scalar_type() == at::kBFloat16) {
    f(loops::bf16());
  } else {
    TORCH_CHECK(x.scalar_type() == at::kFloat, "expected bfloat16 or float32");
    f(float());
  }
}

/** The elements of a contiguous tensor, as loops take them. */
template <typename T>
T* elements(const at::Tensor& x) {
  return static_cast<T*>(x.data_ptr());
}

/**
 * Whether our kernels support x: on a CPU, in float32 or under bfloat16 autocast. Elsewhere
 * LibTorch's operations compute the same.
 */
bool supports(const at::Tensor& x);

/** The dtype of matrix products in our kernels: bfloat16 under autocast, else float32. */
at::ScalarType product_type();

}  // namespace mactok::kernels
