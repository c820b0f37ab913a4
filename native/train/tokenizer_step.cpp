#include "train/tokenizer_step.h"

#include "runtime/profiler.h"

namespace mactok {
namespace {

/** The part that decoder fine-tuning leaves alone. */
bool encodes(const std::string& name) {
  return name.rfind("encoder.", 0) == 0 || name.rfind("to_posterior.", 0) == 0;
}

/** A tokenizer's parameters that the step trains. */
NamedTensors trained(const Tokenizer& tokenizer, bool decoder_only) {
  auto parameters = named_parameters(tokenizer);
  if (decoder_only) {
    std::erase_if(parameters, [](const auto& item) { return encodes(item.first); });
  }
  return parameters;
}

NamedTensors with_heads(NamedTensors parameters, const AlignmentHeads* heads) {
  if (heads != nullptr) {
    for (auto& [name, parameter] : named_parameters(*heads)) {
      parameters.emplace_back("alignment." + name, parameter);
    }
  }
  return parameters;
}

std::vector<at::Tensor> values(const NamedTensors& named) {
  std::vector<at::Tensor> result;
  for (const auto& [name, tensor] : named) result.push_back(tensor.detach());
  return result;
}

at::Device device_of(const Tokenizer& tokenizer) { return tokenizer.parameters().at(0).device(); }

GeneratorNetworks add_heads(GeneratorNetworks networks, const GeneratorLossOptions& options) {
  if (options.alignment.local || options.alignment.global) {
    networks.heads = std::make_shared<AlignmentHeads>(options.alignment);
    initialize(*networks.heads, options.seed);
    networks.heads->to(device_of(*networks.tokenizer));
  }
  return networks;
}

}  // namespace

at::Tensor to_network_images(const at::Tensor& images, at::Device device) {
  const Phase phase("inputs");
  const auto moved = images.to(device, /*non_blocking=*/true);
  if (moved.scalar_type() != at::kByte) return moved;
  return moved.permute({0, 3, 1, 2})
      .to(at::kFloat, false, false, at::MemoryFormat::Contiguous)
      .div_(127.5)
      .sub_(1.0);
}

NamedTensors named_parameters(const torch::nn::Module& module) {
  NamedTensors result;
  for (const auto& item : module.named_parameters()) result.emplace_back(item.key(), item.value());
  return result;
}

NamedTensors named_tensors(const torch::nn::Module& module) {
  auto result = named_parameters(module);
  for (const auto& item : module.named_buffers()) result.emplace_back(item.key(), item.value());
  return result;
}

TokenizerStep::TokenizerStep(GeneratorNetworks networks, std::shared_ptr<Tokenizer> ema,
                             TokenizerStepOptions options)
    : options_(std::move(options)),
      networks_(add_heads(std::move(networks), options_.loss)),
      ema_model_(std::move(ema)),
      loss_(networks_, options_.loss),
      parameters_(with_heads(trained(*networks_.tokenizer, options_.loss.decoder_only),
                             networks_.heads.get())),
      optimizer_(options_.optimizer, parameters_),
      ema_(options_.ema, values(trained(*networks_.tokenizer, options_.loss.decoder_only)),
           values(trained(*ema_model_, options_.loss.decoder_only))),
      broken_(at::zeros({}, at::TensorOptions(device_of(*ema_model_)).dtype(at::kFloat))),
      skipped_in_row_(at::zeros_like(broken_)) {
  for (auto& parameter : networks_.tokenizer->parameters()) parameter.set_requires_grad(false);
  for (auto& [name, parameter] : parameters_) parameter.set_requires_grad(true);
  for (auto& parameter : ema_model_->parameters()) parameter.set_requires_grad(false);
}

std::vector<TokenizerStep::MicroBatch> TokenizerStep::backward(
    const std::vector<at::Tensor>& micro_batches, const std::vector<at::Tensor>& features,
    const StepSchedule& schedule) {
  TORCH_CHECK(features.empty() || features.size() == micro_batches.size(),
              "features: expected as many as micro-batches");
  const at::AutoGradMode with_grad(true);
  const auto device = broken_.device();
  int64_t batch = 0;
  for (const auto& images : micro_batches) batch += images.size(0);
  const Autocast autocast(device.type(), options_.precision);
  const bool adversarial = schedule.weights.adversarial > 0 && networks_.discriminator;
  if (adversarial) networks_.discriminator->begin();
  broken_.zero_();
  const Meter kept = meter_;
  std::vector<MicroBatch> done;
  Position position{.step = schedule.step, .first_index = 0};
  try {
    for (size_t i = 0; i < micro_batches.size(); ++i) {
      const auto& pictures = micro_batches[i];
      const auto known = features.empty() ? at::Tensor() : features[i];
      const double share = static_cast<double>(pictures.size(0)) / static_cast<double>(batch);
      const auto images = to_network_images(pictures, device);
      const auto [total, prediction] =
          loss_.forward(images, known, schedule.weights, position, share, meter_);
      const Phase phase("backward");
      (total * share).backward();
      broken_ = at::max(broken_, total.detach().isfinite().logical_not().to(at::kFloat));
      if (adversarial) done.push_back({images, prediction, position, share});
      position.first_index += static_cast<uint64_t>(pictures.size(0));
    }
  } catch (...) {  // a failed step leaves neither gradients nor metrics behind
    optimizer_.zero_grad();
    meter_ = kept;
    if (adversarial) networks_.discriminator->abandon();
    throw;
  }
  return done;
}

at::Tensor TokenizerStep::train_discriminator(const std::vector<MicroBatch>& batches,
                                              const StepSchedule& schedule) {
  const at::AutoGradMode with_grad(true);
  const Autocast autocast(broken_.device().type(), options_.precision);
  const Meter kept = meter_;
  try {
    for (const auto& [images, prediction, position, share] : batches) {
      networks_.discriminator->backward(images, prediction, schedule.weights.adversarial, position,
                                        share, meter_);
    }
  } catch (...) {
    networks_.discriminator->abandon();
    meter_ = kept;
    throw;
  }
  return networks_.discriminator->update(schedule.lr, meter_);
}

void TokenizerStep::step(const std::vector<at::Tensor>& micro_batches, const StepSchedule& schedule,
                         const std::vector<at::Tensor>& features) {
  const StepSpan span(schedule.step);
  Phase phase("inputs");  // and whatever no phase within claims
  const auto batches = backward(micro_batches, features, schedule);
  phase.next("optimiser");
  const auto outcome = optimizer_.step(schedule.lr, broken_);
  optimizer_.zero_grad();
  phase.next("EMA");
  ema_.update(outcome.skipped);
  auto skipped = outcome.skipped;
  if (!batches.empty()) {
    phase.next("discriminator");
    skipped = at::max(skipped, train_discriminator(batches, schedule));
    networks_.discriminator->finish(skipped);
  }
  phase.next("metrics");
  skipped_in_row_ = (skipped_in_row_ + 1) * skipped;
  meter_.add("gradNorm", outcome.norm);
  meter_.count("skipped", outcome.skipped);
  meter_.end_step();
}

NamedTensors TokenizerStep::gradients(const std::vector<at::Tensor>& micro_batches,
                                      const StepSchedule& schedule) {
  const Meter kept = meter_;
  if (!backward(micro_batches, {}, schedule).empty()) networks_.discriminator->abandon();
  meter_ = kept;
  NamedTensors result;
  for (const auto& [name, parameter] : parameters_) {
    result.emplace_back(
        name, parameter.grad().defined() ? parameter.grad().clone() : at::zeros_like(parameter));
  }
  optimizer_.zero_grad();
  return result;
}

std::map<std::string, double> TokenizerStep::metrics() {
  auto result = meter_.read();
  result["skippedInARow"] = skipped_in_row_.item<double>();
  if (networks_.discriminator) {
    const int64_t calls = networks_.discriminator->calls();
    result["discriminatorCalls"] = static_cast<double>(calls - calls_read_);
    calls_read_ = calls;
  }
  return result;
}

std::map<std::string, NamedTensors> TokenizerStep::state() const {
  auto optimizer = optimizer_.state();
  optimizer.emplace_back("ema_updates", ema_.updates());
  std::map<std::string, NamedTensors> groups{
      {"model", named_parameters(*networks_.tokenizer)},
      {"ema", named_parameters(*ema_model_)},
      {"alignment", networks_.heads ? named_parameters(*networks_.heads) : NamedTensors{}},
      {"optimizer", optimizer}};
  if (networks_.discriminator) groups.merge(networks_.discriminator->state());
  return groups;
}

}  // namespace mactok
