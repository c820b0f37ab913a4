#include "train/flow_step.h"

namespace mactok {
namespace {

TrainedNetworks trained_networks(std::shared_ptr<Denoiser> model, std::shared_ptr<Denoiser> ema) {
  return {.model = std::move(model),
          .ema = std::move(ema),
          // The fixed positions are a parameter, too.
          .is_trained = [](const std::string& name) { return name != "pos_embed"; },
          .others = {},
          .written = {}};
}

FlowShared make_shared_inputs(double lr) { return {.lr = at::scalar_tensor(lr, at::kDouble)}; }

std::vector<FlowPart> make_parts(const std::vector<FlowBatch>& micro_batches) {
  std::vector<FlowPart> parts;
  for (const auto& [latents, labels] : micro_batches) {
    parts.push_back({.batch = {.latents = latents.to(at::kFloat), .labels = labels},
                     .noise = {},
                     .times = {},
                     .label_draws = {}});
  }
  return parts;
}

}  // namespace

FlowStep::FlowStep(std::shared_ptr<Denoiser> model, std::shared_ptr<Denoiser> ema,
                   FlowStepOptions options)
    : TrainingStep(options.training, trained_networks(model, std::move(ema))),
      options_(options),
      model_(std::move(model)) {}

void FlowStep::step(const std::vector<FlowBatch>& micro_batches, uint64_t step, double lr) {
  run(step, make_shared_inputs(lr), make_parts(micro_batches));
}

NamedTensors FlowStep::gradients(const std::vector<FlowBatch>& micro_batches, uint64_t step) {
  return compute_gradients(step, make_shared_inputs(/*lr=*/0), make_parts(micro_batches));
}

void FlowStep::draw(const FlowShared& /*shared*/, const random::Samples& samples,
                    FlowPart& part) const {
  const auto& latents = part.batch.latents;
  part.noise = samples.normal("noise", latents.numel() / samples.count).view_as(latents);
  part.times = draw_times(options_.timesteps, training_interval(options_.flow), samples);
  part.label_draws = samples.uniform("label", 1).flatten();
}

at::Tensor FlowStep::loss(const FlowShared& /*shared*/, const FlowPart& part, double share,
                          Meter& meter) {
  Phase phase("losses");
  const auto dropped = part.label_draws < options_.label_dropout;
  const auto labels = part.batch.labels.masked_fill(dropped, model_->classes());
  const auto losses =
      flow_losses(*model_, options_.flow, options_.loss,
                  {.latents = part.batch.latents, .labels = labels}, part.noise, part.times);
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

}  // namespace mactok
