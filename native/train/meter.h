#pragma once

#include <torch/torch.h>

#include <map>
#include <string>

namespace mactok {

/** Sums of scalar metrics that stay on the device until somebody reads them. */
class Meter {
 public:
  /** Adds `value · weight` to a metric whose weights sum to 1 over a step. */
  void add(const std::string& name, const at::Tensor& value, double weight = 1.0);
  void end_step() { ++steps_; }

  /** Means over the steps since the last call (`skipped` and `steps` are counts), then starts anew. Waits for the device. */
  std::map<std::string, double> read();

 private:
  std::map<std::string, at::Tensor> sums_;
  int64_t steps_ = 0;
};

}  // namespace mactok
