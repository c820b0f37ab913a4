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

/** Everything that a step writes and that is read between steps. */
std::vector<at::Tensor> written(const Denoiser& model, const Denoiser& ema) {
  auto tensors = model.parameters();
  const auto averages = ema.parameters();
  tensors.insert(tensors.end(), averages.begin(), averages.end());
  return tensors;
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
      skipped_in_row_(
          at::zeros({}, at::TensorOptions(parameters_.at(0).second.device()).dtype(at::kFloat))),
      update_(skipped_in_row_.device(), options_.graphs, written(*model_, *ema_model_),
              [this](const Inputs& inputs) { return update(inputs); }) {
  for (auto& [name, parameter] : parameters_) parameter.set_requires_grad(true);
  for (auto& parameter : ema_model_->parameters()) parameter.set_requires_grad(false);
}

Inputs FlowStep::prepare(const std::vector<FlowBatch>& micro_batches, uint64_t step,
                         double lr) const {
  const auto device = skipped_in_row_.device();
  Inputs inputs{{{"lr", upload(at::scalar_tensor(lr, at::kDouble), device)}}};
  random::Samples samples{.seed = options_.seed, .step = step, .first_index = 0, .count = 0};
  for (const auto& [latents, labels] : micro_batches) {
    samples.count = latents.size(0);
    inputs.push_back(upload(
        std::map<std::string, at::Tensor>{
            {"latents", latents.to(at::kFloat)},
            {"labels", labels},
            {"noise", samples.normal("noise", latents.numel() / samples.count).view_as(latents)},
            {"time", draw_times(options_.timesteps, training_interval(options_.flow), samples)},
            {"label", samples.uniform("label", 1).flatten()}},
        device));
    samples.first_index += static_cast<uint64_t>(samples.count);
  }
  return inputs;
}

at::Tensor FlowStep::loss(const std::map<std::string, at::Tensor>& part, double share,
                          Meter& meter) const {
  Phase phase("losses");
  const auto dropped = part.at("label") < options_.label_dropout;
  const auto labels = part.at("labels").masked_fill(dropped, model_->classes());
  const auto losses = flow_losses(*model_, options_.flow, options_.loss,
                                  {part.at("latents"), labels}, part.at("noise"), part.at("time"));
  auto total = losses.flow.mean();
  meter.add("flow", total, share);
  if (losses.direction.defined()) {
    const auto direction = losses.direction.mean();
    meter.add("direction", direction, share);
    total = total + options_.loss.direction_weight * direction;
  }
  meter.add("total", total, share);
  return total;
}

at::Tensor FlowStep::backward(const Inputs& inputs, Meter& meter) {
  const at::AutoGradMode with_gradients(true);
  const Autocast autocast(skipped_in_row_.device().type(), options_.precision);
  int64_t batch = 0;
  for (size_t i = 1; i < inputs.size(); ++i) batch += inputs[i].at("latents").size(0);
  auto broken = at::zeros_like(skipped_in_row_);
  try {
    for (size_t i = 1; i < inputs.size(); ++i) {
      const double share =
          static_cast<double>(inputs[i].at("latents").size(0)) / static_cast<double>(batch);
      const auto total = loss(inputs[i], share, meter);
      const Phase phase("backward");
      (total * share).backward();
      broken = at::max(broken, total.detach().isfinite().logical_not().to(at::kFloat));
    }
  } catch (...) {  // a failed step leaves no gradients behind
    optimizer_.zero_grad();
    throw;
  }
  return broken;
}

Outputs FlowStep::update(const Inputs& inputs) {
  Meter meter;
  Phase phase("inputs");  // and whatever no phase within claims
  const auto broken = backward(inputs, meter);
  phase.next("optimiser");
  const auto outcome = optimizer_.step(inputs[0].at("lr"), broken);
  optimizer_.zero_grad();
  phase.next("EMA");
  ema_.update(outcome.skipped);
  phase.next("metrics");
  skipped_in_row_.add_(1).mul_(outcome.skipped);
  meter.add("gradNorm", outcome.norm);
  meter.count("skipped", outcome.skipped);
  return meter.sums();
}

void FlowStep::step(const std::vector<FlowBatch>& micro_batches, uint64_t step, double lr) {
  const StepSpan span(step);
  Phase phase("inputs");
  const auto inputs = prepare(micro_batches, step, lr);
  const auto sums = update_(inputs);
  phase.next("metrics");
  meter_.add_step(Meter(sums));
}

std::map<std::string, double> FlowStep::metrics() {
  auto result = meter_.read();
  result["skippedInARow"] = skipped_in_row_.item<double>();
  return result;
}

NamedTensors FlowStep::gradients(const std::vector<FlowBatch>& micro_batches, uint64_t step) {
  Meter unread;
  backward(prepare(micro_batches, step, /*lr=*/0), unread);
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
