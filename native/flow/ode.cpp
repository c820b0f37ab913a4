#include "flow/ode.h"

#include "flow/timesteps.h"

namespace mactok {

std::vector<double> time_grid(const Interval& interval, int64_t steps, double shift) {
  TORCH_CHECK_VALUE(steps > 0, "steps: expected a positive integer but received ", steps);
  std::vector<double> times;
  for (int64_t i = 0; i <= steps; ++i) {
    const double part = static_cast<double>(i) / static_cast<double>(steps);
    times.push_back(interval.start + shifted(part, shift) * (interval.end - interval.start));
  }
  return times;
}

FixedStepOde::FixedStepOde(const SamplerOptions& options, Field field, at::Tensor start)
    : Sampler(std::move(field), std::move(start)),
      method_(options.method),
      times_(time_grid(sampling_interval(field_.flow()), options.steps, options.shift)) {}

void FixedStepOde::step() {
  const double t = times_[index_], h = times_[index_ + 1] - t;
  auto velocity = begin(t).velocity;
  if (method_ == SamplerMethod::heun) {
    velocity = .5 * (velocity + field_(x_ + h * velocity, {t + h}).velocity);
  } else if (method_ == SamplerMethod::midpoint) {
    velocity = field_(x_ + .5 * h * velocity, {t + .5 * h}).velocity;
  }
  x_ = x_ + h * velocity;
  ++index_;
}

}  // namespace mactok
