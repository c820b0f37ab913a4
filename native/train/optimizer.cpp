#include "train/optimizer.h"

#include <ATen/ops/_fused_adamw.h>

#include "kernels/foreach.h"
#include "runtime/written.h"

namespace mactok {
namespace {

/** Linear and convolution weights; not biases, norms, LayerScale, tokens and positions. */
bool has_weight_decay(const std::string& name, const at::Tensor& parameter) {
  return parameter.dim() >= 2 && (name.ends_with(".weight") || name.ends_with(".weight_orig"));
}

}  // namespace

at::Tensor is_not_finite(const at::Tensor& scalar) {
  return scalar.detach().isfinite().logical_not_().to(at::kFloat);
}

AdamW::AdamW(OptimizerOptions options, NamedTensors parameters, const Shards* shards)
    : options_(options), parameters_(std::move(parameters)), shards_(shards), groups_(2) {
  step_ = at::zeros({}, parameters_.at(0).second.options().dtype(at::kFloat).requires_grad(false));
  groups_[0].weight_decay = options_.weight_decay;
  groups_[1].weight_decay = 0.0;
  NamedTensors squares;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const auto& [name, parameter] = parameters_[i];
    const auto plain = parameter.detach();
    state_.emplace_back("exp_avg." + name, at::zeros_like(plain));
    squares.emplace_back("exp_avg_sq." + name, at::zeros_like(plain));
    if (!is_mine(i)) continue;
    auto& group = groups_[has_weight_decay(name, parameter) ? 0 : 1];
    group.parameters.push_back(plain);
    group.exp_avg.push_back(state_.back().second);
    group.exp_avg_sq.push_back(squares.back().second);
    group.steps.push_back(step_);
  }
  state_.insert(state_.end(), squares.begin(), squares.end());
  state_.emplace_back("step", step_);
}

at::Tensor AdamW::gradient_norm() {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> gradients;
  for (auto& [name, parameter] : parameters_) {
    if (!parameter.grad().defined()) parameter.mutable_grad() = at::zeros_like(parameter);
    gradients.push_back(parameter.grad());
  }
  return kernels::norm(gradients);
}

void AdamW::step(const at::Tensor& lr, const at::Tensor& norm, const at::Tensor& skipped) {
  const at::NoGradGuard no_grad;
  std::vector<std::vector<at::Tensor>> gradients(groups_.size());
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const auto& [name, parameter] = parameters_[i];
    if (!is_mine(i)) continue;
    gradients[has_weight_decay(name, parameter) ? 0 : 1].push_back(parameter.grad());
  }
  // The fused kernel divides by it as it reads the gradients.
  const auto excess = options_.clip_norm > 0
                          ? std::optional(((norm + 1e-6) / options_.clip_norm).clamp_min(1.0))
                          : std::nullopt;

  // From here on nothing is allocated: where memory runs out, the step has changed nothing.
  const auto counted = 1 - skipped;
  // CUDA's kernel reads the rate on the device.
  const auto device_lr = lr.is_cpu() ? lr : lr.to(at::kFloat);
  step_.add_(counted);
  for (size_t i = 0; i < groups_.size(); ++i) {
    auto& group = groups_[i];
    if (group.parameters.empty()) continue;
    const auto update = [&](const auto& rate) {
      at::_fused_adamw_(group.parameters, gradients[i], group.exp_avg, group.exp_avg_sq, {},
                        group.steps, rate, options_.beta1, options_.beta2, group.weight_decay,
                        options_.eps, /*amsgrad=*/false, /*maximize=*/false,
                        /*grad_scale=*/excess, /*found_inf=*/skipped);
    };
    if (lr.is_cpu()) {
      update(*lr.data_ptr<double>());
    } else {
      update(device_lr);
    }
    // The fused operation does not count its writes.
    count_writes(group.parameters);
  }
}

void AdamW::zero_grad() {
  for (auto& [name, parameter] : parameters_) parameter.mutable_grad().reset();
}

NamedTensors AdamW::state() const { return state_; }

std::array<std::vector<at::Tensor>, 2> AdamW::moments() const {
  std::array<std::vector<at::Tensor>, 2> result;
  for (size_t i = 0; i < 2 * parameters_.size(); ++i) {
    result[i / parameters_.size()].push_back(state_[i].second);
  }
  return result;
}

}  // namespace mactok
