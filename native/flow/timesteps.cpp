#include "flow/timesteps.h"

namespace mactok {

double shifted(double t, double shift) { return shift * t / (1 + (shift - 1) * t); }

at::Tensor draw_times(const TimestepOptions& options, const Interval& interval,
                      const random::Samples& samples) {
  const bool lognormal = options.distribution == TimeDistribution::lognormal;
  const auto drawn = lognormal ? samples.normal("time", 1) : samples.uniform("time", 1);
  auto t = drawn.flatten().to(at::kDouble);  // [B]
  if (lognormal) t = (options.mean + options.deviation * t).sigmoid();
  t = options.shift * t / (1 + (options.shift - 1) * t);
  return (interval.start + (interval.end - interval.start) * t).to(at::kFloat);
}

}  // namespace mactok
