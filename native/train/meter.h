#pragma once

#include "runtime/torch.h"

#include <map>
#include <string>

namespace mactok {

/** Sums of scalar metrics that stay on the device until somebody reads them. */
class Meter {
 public:
  /** Adds `value` with `weight`; over a step a metric's weights sum to 1. Values that are not finite are counted instead. */
  void add(const std::string& name, const at::Tensor& value, double weight = 1.0);

  /** Adds to a metric of which the sum is wanted, not the mean. */
  void count(const std::string& name, const at::Tensor& value);

  void end_step() { ++steps_; }

  /**
   * Means of what was added since the last call, sums of what was counted, and `steps`, then starts anew. A metric that was not finite
   * also has `nonFinite.NAME`, how often; its mean is that of the others (NaN where there are none). Waits for the device.
   */
  std::map<std::string, double> read();

 private:
  struct Sum {
    at::Tensor total, weight, broken;
  };
  std::map<std::string, Sum> means_;
  std::map<std::string, at::Tensor> counts_;
  int64_t steps_ = 0;
};

}  // namespace mactok
