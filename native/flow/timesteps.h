#pragma once

#include "runtime/torch.h"

#include "flow/prediction.h"
#include "runtime/random.h"

namespace mactok {

/** Uniform, or sigmoid(N(mean, deviation²)): SD3's and LightningDiT's "lognorm". */
enum class TimeDistribution { uniform, lognormal };

/** The distribution of training times. */
struct TimestepOptions {
  TimeDistribution distribution;
  /** Parameters of the normal distribution. */
  double mean, deviation;
  /** Maps times to shift·t / (1 + (shift − 1)·t): below 1 towards noise; 1 changes nothing. */
  double shift;
};

/** A time after the shift. */
double shifted(double t, double shift);

/** The samples' times in the interval, float32 [count], from the stream `time`. On the host. */
at::Tensor draw_times(const TimestepOptions& options, const Interval& interval,
                      const random::Samples& samples);

}  // namespace mactok
