#include "runtime/kept_cast.h"

#include <ATen/autocast_mode.h>
#include <ATen/ops/_foreach_copy.h>

#include <algorithm>
#include <utility>

#include "runtime/trained_casts.h"

namespace mactok {
namespace {

thread_local RecordedCasts::Scope* current = nullptr;

}  // namespace

at::Tensor cast_weight(std::shared_ptr<KeptCast>& kept, const at::Tensor& weight,
                       at::ScalarType dtype) {
  const at::NoGradGuard no_grad;
  const auto version = weight._version();
  const bool suits = kept && kept->value.scalar_type() == dtype && kept->weight.is_alias_of(weight);
  if (!suits || kept->version != version) {
    // What is only recorded has no value yet, so it is not kept.
    if (current && current->recorded) return weight.detach().to(dtype);
    if (suits) {
      kept->value.copy_(kept->weight);
      kept->version = version;
    } else {
      const auto detached = weight.detach();
      kept = std::make_shared<KeptCast>(
          KeptCast{.weight = detached, .value = detached.to(dtype), .version = version});
    }
  }
  if (current) current->casts.add(kept);
  return kept->value;
}

at::Tensor cast_parameter(std::shared_ptr<KeptCast>& kept, const at::Tensor& parameter) {
  const auto device = parameter.device().type();
  if (!at::autocast::is_autocast_enabled(device)) return parameter;
  if (at::GradMode::is_enabled() && parameter.requires_grad()) return cast_trained(parameter);
  return cast_weight(kept, parameter, at::autocast::get_autocast_dtype(device));
}

RecordedCasts::Scope::Scope(RecordedCasts& casts, bool recorded)
    : casts(casts), recorded(recorded), outer_(std::exchange(current, this)) {}

RecordedCasts::Scope::~Scope() { current = outer_; }

void RecordedCasts::add(const std::shared_ptr<KeptCast>& cast) {
  if (std::find(casts_.begin(), casts_.end(), cast) == casts_.end()) casts_.push_back(cast);
}

void RecordedCasts::refresh() {
  std::vector<at::Tensor> values, weights;
  for (const auto& cast : casts_) {
    if (cast->version == cast->weight._version()) continue;
    values.push_back(cast->value);
    weights.push_back(cast->weight);
  }
  if (values.empty()) return;
  at::_foreach_copy_(values, weights);
  for (const auto& cast : casts_) cast->version = cast->weight._version();
}

}  // namespace mactok
