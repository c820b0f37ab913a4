#pragma once

#include <vector>

#include "flow/sampler.h"

namespace mactok {

/** Euler (one evaluation per step), Heun and midpoint (two), on a grid of times. */
class FixedStepOde : public Sampler {
 public:
  FixedStepOde(const SamplerOptions& options, Field field, at::Tensor start);

  bool done() const override { return index_ + 1 == times_.size(); }
  double time() const override { return times_[index_]; }
  void step() override;

 private:
  SamplerMethod method_;
  std::vector<double> times_;
  size_t index_ = 0;
};

/** steps + 1 times from start to end, whose fractions of the way are shifted (see TimestepOptions). */
std::vector<double> time_grid(const Interval& interval, int64_t steps, double shift);

}  // namespace mactok
