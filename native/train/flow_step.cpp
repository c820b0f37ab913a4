#include "train/flow_step.h"

#include "runtime/profiler.h"
#include "runtime/random.h"
#include "train/tokenizer_step.h"

namespace mactok {
namespace {

NamedTensors trained(const Denoiser& model) {
  NamedTensors result;
  for (const auto& item : model.named_parameters()) {
    if (item.key() != "pos_embed") result.emplace_back(item.key(), item.value());
  }
  return result;
}

std::vector<at::Tensor> values(const NamedTensors& named) {
  std::vector<at::Tensor> result;
  for (const auto& [name, tensor] : named) result.push_back(tensor.detach());
  return result;
}

}  // namespace

FlowLosses flow_losses(const Denoiser& model, const FlowOptions& flow, const FlowLossOptions& loss,
                       const FlowBatch& batch, const at::Tensor& noise, const at::Tensor& times) {
  const auto& [latents, labels] = batch;
  Phase phase("network");
  const auto x = noisy(flow.path, latents, noise, times);
  const auto output = predict(model, flow, x, times, labels);
  phase.next("losses");
  FlowLosses losses;
  losses.flow = flow_loss(flow, loss.weighting, output, latents, noise, times);
  if (loss.direction_weight > 0) {
    const auto velocity = interpret(flow, output, x, times).velocity;
    losses.direction = direction_loss(velocity, target_velocity(flow.path, latents, noise, times));
  }
  return losses;
}

FlowStep::FlowStep(std::shared_ptr<Denoiser> model, std::shared_ptr<Denoiser> ema,
                   FlowStepOptions options)
    : options_(options),
      model_(std::move(model)),
      ema_model_(std::move(ema)),
      parameters_(trained(*model_)),
      optimizer_(options_.optimizer, parameters_),
      ema_(options_.ema, values(parameters_), values(trained(*ema_model_))),
      broken_(
          at::zeros({}, at::TensorOptions(parameters_.at(0).second.device()).dtype(at::kFloat))),
      skipped_in_row_(at::zeros_like(broken_)) {
  for (auto& [name, parameter] : parameters_) parameter.set_requires_grad(true);
  for (auto& parameter : ema_model_->parameters()) parameter.set_requires_grad(false);
}

at::Tensor FlowStep::loss(const FlowBatch& batch, uint64_t step, uint64_t first_index,
                          double share) {
  Phase phase("inputs");
  const auto device = batch.latents.device();
  const int64_t count = batch.latents.size(0);
  const auto noise = random::normal(options_.seed, "noise", step, first_index, count,
                                    batch.latents.numel() / count)
                         .to(device)
                         .view_as(batch.latents);
  const auto times = draw_times(options_.timesteps, training_interval(options_.flow), options_.seed,
                                step, first_index, count)
                         .to(device);
  const auto dropped =
      random::uniform(options_.seed, "label", step, first_index, count, 1).flatten().to(device) <
      options_.label_dropout;
  const auto labels = batch.labels.masked_fill(dropped, model_->classes());

  phase.next("losses");
  const auto losses =
      flow_losses(*model_, options_.flow, options_.loss, {batch.latents, labels}, noise, times);
  auto total = losses.flow.mean();
  meter_.add("flow", total, share);
  if (losses.direction.defined()) {
    const auto direction = losses.direction.mean();
    meter_.add("direction", direction, share);
    total = total + options_.loss.direction_weight * direction;
  }
  meter_.add("total", total, share);
  return total;
}

void FlowStep::backward(const std::vector<FlowBatch>& micro_batches, uint64_t step) {
  const auto device = broken_.device();
  const at::AutoGradMode with_gradients(true);
  int64_t batch = 0;
  for (const auto& part : micro_batches) batch += part.latents.size(0);

  const Autocast autocast(device.type(), options_.precision);
  broken_.zero_();
  const Meter kept = meter_;
  uint64_t first_index = 0;
  try {
    for (const auto& part : micro_batches) {
      const double share = static_cast<double>(part.latents.size(0)) / static_cast<double>(batch);
      const FlowBatch moved{part.latents.to(device, at::kFloat, true),
                            part.labels.to(device, true)};
      const auto total = loss(moved, step, first_index, share);
      const Phase phase("backward");
      (total * share).backward();
      broken_ = at::max(broken_, total.detach().isfinite().logical_not().to(at::kFloat));
      first_index += static_cast<uint64_t>(part.latents.size(0));
    }
  } catch (...) {  // a failed step leaves neither gradients nor metrics behind
    optimizer_.zero_grad();
    meter_ = kept;
    throw;
  }
}

void FlowStep::step(const std::vector<FlowBatch>& micro_batches, uint64_t step, double lr) {
  const StepSpan span(step);
  Phase phase("inputs");  // and whatever no phase within claims
  backward(micro_batches, step);
  phase.next("optimiser");
  const auto outcome = optimizer_.step(lr, broken_);
  optimizer_.zero_grad();
  phase.next("EMA");
  ema_.update(outcome.skipped);
  phase.next("metrics");
  skipped_in_row_ = (skipped_in_row_ + 1) * outcome.skipped;
  meter_.add("gradNorm", outcome.norm);
  meter_.count("skipped", outcome.skipped);
  meter_.end_step();
}

std::map<std::string, double> FlowStep::metrics() {
  auto result = meter_.read();
  result["skippedInARow"] = skipped_in_row_.item<double>();
  return result;
}

NamedTensors FlowStep::gradients(const std::vector<FlowBatch>& micro_batches, uint64_t step) {
  const Meter kept = meter_;
  backward(micro_batches, step);
  meter_ = kept;
  NamedTensors result;
  for (const auto& [name, parameter] : parameters_) {
    const auto& gradient = parameter.grad();
    result.emplace_back(name, gradient.defined() ? gradient.clone() : at::zeros_like(parameter));
  }
  optimizer_.zero_grad();
  return result;
}

std::map<std::string, NamedTensors> FlowStep::state() const {
  auto optimizer = optimizer_.state();
  optimizer.emplace_back("ema_updates", ema_.updates());
  return {{"model", named_parameters(*model_)},
          {"ema", named_parameters(*ema_model_)},
          {"optimizer", optimizer}};
}

}  // namespace mactok
