#pragma once

#include "runtime/torch.h"

#include <map>
#include <string>
#include <vector>

#include "distributed/process_group.h"
#include "runtime/replay.h"

namespace mactok {

/** Collects the scalar metrics of one step, on the device; a few operations sum up all of them. */
class Meter {
 public:
  /**
   * Adds to a mean; over a step a metric's weights sum to 1. Values that are not finite are counted
   * instead. Micro-batches add the same metrics in the same order.
   */
  void add(const std::string& name, const at::Tensor& value, double weight = 1.0);

  /** Adds to a sum. */
  void count(const std::string& name, const at::Tensor& value);

  /**
   * One tensor, float64 [metrics, 3]: the sum of weighted values, the sum of weights, and how many
   * were not finite. Its key lists the metrics in lines, counts preceded by `#`.
   */
  Outputs outputs() const;

 private:
  /** The metrics of one micro-batch, each once. */
  struct Batch {
    std::vector<std::string> names;
    std::vector<at::Tensor> values;
    std::vector<double> weights;
  };

  std::vector<Batch> batches_;
};

/** Sums of metrics over steps, which stay on the device until they are read. */
class MetricTotals {
 public:
  /** Adds a step's `Meter::outputs`. */
  void add_step(const Outputs& step);

  /**
   * Means, counts and the number of `steps` since the last call. `nonFinite.NAME` is how often a
   * metric was not finite; its mean is over the other values (NaN where there are none). Waits for
   * the device. With a group: over all ranks' micro-batches; counts are the same on all ranks.
   */
  std::map<std::string, double> read(ProcessGroup* group = nullptr);

 private:
  std::vector<std::string> names_;
  /** float64 [metrics, 3]. */
  at::Tensor sums_;
  int64_t steps_ = 0;
};

}  // namespace mactok
