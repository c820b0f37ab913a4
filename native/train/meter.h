#pragma once

#include "runtime/torch.h"

#include <map>
#include <string>

namespace mactok {

/** Sums of scalar metrics that stay on the device until somebody reads them. */
class Meter {
 public:
  Meter() = default;

  /** One that has seen what `sums` of another one tell. */
  explicit Meter(std::map<std::string, at::Tensor> sums) : sums_(std::move(sums)) {}

  /** Adds `value` with `weight`; over a step a metric's weights sum to 1. Values that are not finite are counted instead. */
  void add(const std::string& name, const at::Tensor& value, double weight = 1.0);

  /** Adds to a metric of which the sum is wanted, not the mean. */
  void count(const std::string& name, const at::Tensor& value);

  /** Adds a step's metrics. */
  void add_step(const Meter& step);

  /** By name, float64: of a mean [3], the weighted values, their weights, how many were not finite; of a count a scalar. */
  const std::map<std::string, at::Tensor>& sums() const { return sums_; }

  /**
   * Means of what was added since the last call, sums of what was counted, and `steps`, then starts anew. A metric that was not finite
   * also has `nonFinite.NAME`, how often; its mean is that of the others (NaN where there are none). Waits for the device.
   */
  std::map<std::string, double> read();

 private:
  void add_to(const std::string& name, const at::Tensor& term);

  std::map<std::string, at::Tensor> sums_;
  int64_t steps_ = 0;
};

}  // namespace mactok
