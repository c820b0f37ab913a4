#include "runtime/trained_casts.h"

#include <ATen/autocast_mode.h>
#include <ATen/ops/_foreach_copy.h>

#include <algorithm>
#include <utility>

namespace mactok {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/** A node for each parameter: one for all would make each gradient depend on all layers. */
struct Cast : torch::autograd::Function<Cast> {
  static at::Tensor forward(AutogradContext* /*context*/, const at::Tensor& /*parameter*/,
                            const at::Tensor& value) {
    return value.detach();
  }

  static variable_list backward(AutogradContext* /*context*/, const variable_list& gradients) {
    return {gradients[0].to(at::kFloat), at::Tensor()};
  }
};

thread_local TrainedCasts::Scope* current = nullptr;

std::vector<at::Tensor> cast_all(const std::vector<at::Tensor>& parameters) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> values, weights;
  for (const auto& parameter : parameters) {
    weights.push_back(parameter.detach());
    values.push_back(at::empty_like(weights.back(), at::kBFloat16));
  }
  if (!values.empty()) at::_foreach_copy_(values, weights);
  return values;
}

}  // namespace

TrainedCasts::Scope::Scope(TrainedCasts& casts) : casts_(casts), outer_(current) {
  if (!casts_.applies_) return;
  const auto values = cast_all(casts_.parameters_);
  for (size_t i = 0; i < values.size(); ++i) {
    const auto& parameter = casts_.parameters_[i];
    values_.emplace(parameter.unsafeGetTensorImpl(), Cast::apply(parameter, values[i]));
  }
  current = this;
}

TrainedCasts::Scope::~Scope() { current = outer_; }

at::Tensor TrainedCasts::Scope::find(const at::Tensor& parameter) {
  const auto found = values_.find(parameter.unsafeGetTensorImpl());
  if (found != values_.end()) return found->second;
  auto& known = casts_.parameters_;
  const auto is_same = [&](const at::Tensor& other) { return other.is_same(parameter); };
  if (std::none_of(known.begin(), known.end(), is_same)) known.push_back(parameter);
  return parameter;
}

at::Tensor cast_trained(const at::Tensor& parameter) {
  // Checkpoints turn autocast's cache off: they cast again in the backward pass.
  if (!current || !at::autocast::is_autocast_cache_enabled()) return parameter;
  return current->find(parameter);
}

}  // namespace mactok
