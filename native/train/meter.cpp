#include "train/meter.h"

namespace mactok {

void Meter::add(const std::string& name, const at::Tensor& value, double weight) {
  const auto term = value.detach().to(at::kDouble) * weight;
  auto& sum = sums_[name];
  sum = sum.defined() ? sum + term : term;
}

std::map<std::string, double> Meter::read() {
  std::map<std::string, double> result;
  for (const auto& [name, sum] : sums_) {
    const auto total = sum.item<double>();
    result[name] = name == "skipped" ? total : total / static_cast<double>(steps_);
  }
  result["steps"] = static_cast<double>(steps_);
  sums_.clear();
  steps_ = 0;
  return result;
}

}  // namespace mactok
