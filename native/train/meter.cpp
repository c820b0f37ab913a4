#include "train/meter.h"

namespace mactok {

void Meter::add_to(const std::string& name, const at::Tensor& term) {
  auto& sum = sums_[name];
  sum = sum.defined() ? sum + term : term;
}

void Meter::add(const std::string& name, const at::Tensor& value, double weight) {
  const auto scalar = value.detach().to(at::kDouble);
  const auto finite = scalar.isfinite();
  add_to(name, at::stack({at::where(finite, scalar * weight, 0.0), finite.to(at::kDouble) * weight,
                          finite.logical_not().to(at::kDouble)}));
}

void Meter::count(const std::string& name, const at::Tensor& value) {
  add_to(name, value.detach().to(at::kDouble));
}

void Meter::add_step(const Meter& step) {
  for (const auto& [name, sum] : step.sums_) add_to(name, sum);
  ++steps_;
}

std::map<std::string, double> Meter::read() {
  std::map<std::string, double> result{{"steps", static_cast<double>(steps_)}};
  std::vector<at::Tensor> parts;
  for (const auto& [name, sum] : sums_) parts.push_back(sum.reshape({-1}));
  const auto values = parts.empty() ? at::empty({0}, at::kDouble) : at::cat(parts).cpu();
  const double* data = values.data_ptr<double>();
  for (const auto& [name, sum] : sums_) {
    if (sum.dim() == 0) {
      result[name] = data[0];
    } else {
      result[name] = data[0] / data[1];
      if (data[2] > 0) result["nonFinite." + name] = data[2];
    }
    data += sum.numel();
  }
  sums_.clear();
  steps_ = 0;
  return result;
}

}  // namespace mactok
