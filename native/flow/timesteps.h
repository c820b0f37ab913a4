#pragma once

#include "runtime/torch.h"

#include <cstdint>
#include <string>

#include "flow/prediction.h"

namespace mactok {

/** The distribution of training times. */
struct TimestepOptions {
  bool
      lognormal;  ///< sigmoid(N(mean, deviation²)), SD3's and LightningDiT's "lognorm"; else uniform
  double mean, deviation;  ///< of the normal
  double
      shift;  ///< then shift·t / (1 + (shift − 1)·t): below 1 towards noise; 1 leaves times alone
};

double shifted(double t, double shift);

/** Times of samples first_index, …, in the interval: float32 [batch], a function of (seed, step, sample) by the stream `time`. */
at::Tensor draw_times(const TimestepOptions& options, const Interval& interval, uint64_t seed,
                      uint64_t step, uint64_t first_index, int64_t batch);

}  // namespace mactok
