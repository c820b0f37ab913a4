#pragma once

#include "runtime/torch.h"

#include "flow/prediction.h"
#include "runtime/random.h"

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

/** The samples' times in the interval: float32 [count], drawn from the stream `time`. On the host. */
at::Tensor draw_times(const TimestepOptions& options, const Interval& interval,
                      const random::Samples& samples);

}  // namespace mactok
