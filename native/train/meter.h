#pragma once

#include "runtime/torch.h"

#include <map>
#include <string>

namespace mactok {

/** Sums of scalar metrics, which stay on the device until they are read. */
class Meter {
 public:
  Meter() = default;

  /** A meter with the sums of another one. */
  explicit Meter(std::map<std::string, at::Tensor> sums) : sums_(std::move(sums)) {}

  /**
   * Adds to a mean; over a step a metric's weights sum to 1. Values that are not finite are counted
   * instead.
   */
  void add(const std::string& name, const at::Tensor& value, double weight = 1.0);

  /** Adds to a sum. */
  void count(const std::string& name, const at::Tensor& value);

  /** Adds a step's metrics. */
  void add_step(const Meter& step);

  /**
   * By name, float64: for a mean [3], the sum of weighted values, the sum of weights, and how many
   * were not finite; for a count a scalar.
   */
  const std::map<std::string, at::Tensor>& sums() const { return sums_; }

  /**
   * Means, counts and the number of `steps` since the last call. `nonFinite.NAME` is how often a
   * metric was not finite; its mean is over the other values (NaN where there are none). Waits for
   * the device.
   */
  std::map<std::string, double> read();

 private:
  void add_to(const std::string& name, const at::Tensor& term);

  std::map<std::string, at::Tensor> sums_;
  int64_t steps_ = 0;
};

}  // namespace mactok
