#pragma once

#include "runtime/torch.h"

#include <cstdint>
#include <string_view>
#include <vector>

/**
 * Counter-based random numbers: every draw is a pure function of (seed, stream name, step, sample
 * index).
 *
 * Philox4x32-10 (Salmon et al. 2011; the engine is LibTorch's) is keyed with the FNV-1a hash of the
 * stream's name followed by the seed's eight bytes, little-endian. The upper half of its counter is
 * the sample index, the lower half is `step · 2³² + block`. Draws that are shared by the whole
 * batch use sample index −1.
 */
namespace mactok::random {

constexpr uint64_t kWholeBatch = ~uint64_t{0};

/**
 * Uniforms in [0, 1) with 24 random bits, float32 [rows, columns] on the CPU; row i is sample
 * `first_index + i`.
 */
at::Tensor uniform(uint64_t seed, std::string_view stream, uint64_t step, uint64_t first_index,
                   int64_t rows, int64_t columns);

/** Standard normals by Box–Muller in double precision, rounded to float32 [rows, columns]. */
at::Tensor normal(uint64_t seed, std::string_view stream, uint64_t step, uint64_t first_index,
                  int64_t rows, int64_t columns);

/** The same for any samples: row i is sample `indices[i]`. */
at::Tensor normal(uint64_t seed, std::string_view stream, uint64_t step,
                  const std::vector<uint64_t>& indices, int64_t columns);

/** The draws of a micro-batch: `count` samples of a step, starting at `first_index`. */
struct Samples {
  uint64_t seed, step, first_index;
  int64_t count;

  /** [count, columns]. */
  at::Tensor uniform(std::string_view stream, int64_t columns) const {
    return random::uniform(seed, stream, step, first_index, count, columns);
  }
  at::Tensor normal(std::string_view stream, int64_t columns) const {
    return random::normal(seed, stream, step, first_index, count, columns);
  }
  /** [1, columns], shared by all micro-batches of the step. */
  at::Tensor shared_uniform(std::string_view stream, int64_t columns) const {
    return random::uniform(seed, stream, step, kWholeBatch, 1, columns);
  }
};

}  // namespace mactok::random
