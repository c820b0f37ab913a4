#include "flow/timesteps.h"

#include "runtime/random.h"

namespace mactok {

double shifted(double t, double shift) { return shift * t / (1 + (shift - 1) * t); }

at::Tensor draw_times(const TimestepOptions& options, const Interval& interval, uint64_t seed,
                      uint64_t step, uint64_t first_index, int64_t batch) {
  const auto draw = options.lognormal ? random::normal : random::uniform;
  auto t = draw(seed, "time", step, first_index, batch, 1).flatten().to(at::kDouble);  // [B]
  if (options.lognormal) t = (options.mean + options.deviation * t).sigmoid();
  t = options.shift * t / (1 + (options.shift - 1) * t);
  return (interval.start + (interval.end - interval.start) * t).to(at::kFloat);
}

}  // namespace mactok
