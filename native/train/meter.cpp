#include "train/meter.h"

namespace mactok {
namespace {

// Never in place: a copy of the meter must keep its values.
void accumulate(at::Tensor& sum, const at::Tensor& term) {
  sum = sum.defined() ? sum + term : term;
}

}  // namespace

void Meter::add(const std::string& name, const at::Tensor& value, double weight) {
  const auto scalar = value.detach().to(at::kDouble);
  const auto finite = scalar.isfinite();
  auto& sum = means_[name];
  accumulate(sum.total, at::where(finite, scalar * weight, 0.0));
  accumulate(sum.weight, finite.to(at::kDouble) * weight);
  accumulate(sum.broken, finite.logical_not().to(at::kDouble));
}

void Meter::count(const std::string& name, const at::Tensor& value) {
  accumulate(counts_[name], value.detach().to(at::kDouble));
}

std::map<std::string, double> Meter::read() {
  std::map<std::string, double> result{{"steps", static_cast<double>(steps_)}};
  for (const auto& [name, sum] : means_) {
    result[name] = (sum.total / sum.weight).item<double>();
    if (const auto broken = sum.broken.item<double>(); broken > 0) {
      result["nonFinite." + name] = broken;
    }
  }
  for (const auto& [name, sum] : counts_) result[name] = sum.item<double>();
  means_.clear();
  counts_.clear();
  steps_ = 0;
  return result;
}

}  // namespace mactok
