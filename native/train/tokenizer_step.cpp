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

/** Everything that a step writes and that is read between steps. */
std::vector<at::Tensor> written(const GeneratorNetworks& networks, const Tokenizer& ema) {
  auto tensors = networks.tokenizer->parameters();
  const auto add = [&tensors](const std::vector<at::Tensor>& more) {
    tensors.insert(tensors.end(), more.begin(), more.end());
  };
  add(ema.parameters());
  if (networks.heads) add(networks.heads->parameters());
  if (networks.discriminator) {
    for (const auto& [group, state] : networks.discriminator->state()) add(values(state));
  }
  return tensors;
}

at::Tensor found(const std::map<std::string, at::Tensor>& inputs, const std::string& name) {
  const auto it = inputs.find(name);
  return it == inputs.end() ? at::Tensor() : it->second;
}

}  // namespace

at::Tensor to_network_images(const at::Tensor& images, at::Device device) {
  const Phase phase("inputs");
  const auto moved = upload(images, device);
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
      skipped_in_row_(at::zeros({}, at::TensorOptions(device_of(*ema_model_)).dtype(at::kFloat))),
      update_(device_of(*ema_model_), options_.graphs, written(networks_, *ema_model_),
              [this](const Inputs& inputs) { return update(inputs); }) {
  for (auto& parameter : networks_.tokenizer->parameters()) parameter.set_requires_grad(false);
  for (auto& [name, parameter] : parameters_) parameter.set_requires_grad(true);
  for (auto& parameter : ema_model_->parameters()) parameter.set_requires_grad(false);
}

Inputs TokenizerStep::prepare(const std::vector<at::Tensor>& micro_batches,
                              const std::vector<at::Tensor>& features,
                              const StepSchedule& schedule) const {
  TORCH_CHECK(features.empty() || features.size() == micro_batches.size(),
              "features: expected as many as micro-batches");
  const auto& weights = schedule.weights;
  const bool judged = weights.adversarial > 0;
  TORCH_CHECK(!judged || networks_.discriminator, "the adversarial term needs a discriminator");
  TORCH_CHECK(weights.perceptual == 0 || networks_.perceptual, "the perceptual term needs LPIPS");

  const auto scalar = [](double value) { return at::scalar_tensor(value, at::kFloat); };
  std::map<std::string, at::Tensor> numbers{
      {"lr", at::scalar_tensor(schedule.lr, at::kDouble)},
      {"weight/reconstruction", scalar(weights.reconstruction)},
      {"weight/kl", scalar(weights.kl)},
      {"weight/alignment", scalar(weights.alignment)}};
  if (weights.perceptual > 0) numbers.emplace("weight/perceptual", scalar(weights.perceptual));
  if (judged) numbers.emplace("weight/adversarial", scalar(weights.adversarial));
  const auto device = skipped_in_row_.device();
  Inputs inputs{upload(numbers, device)};

  random::Samples samples{
      .seed = options_.loss.seed, .step = schedule.step, .first_index = 0, .count = 0};
  for (size_t i = 0; i < micro_batches.size(); ++i) {
    samples.count = micro_batches[i].size(0);
    auto part = loss_.draw(samples, judged);
    part.emplace("images", micro_batches[i]);
    if (!features.empty()) part.emplace("features", features[i]);
    inputs.push_back(upload(part, device));
    samples.first_index += static_cast<uint64_t>(samples.count);
  }
  return inputs;
}

TokenizerStep::Pass TokenizerStep::backward(const Inputs& inputs, Meter& meter) {
  const at::AutoGradMode with_grad(true);
  const auto device = skipped_in_row_.device();
  const Autocast autocast(device.type(), options_.precision);
  const LossWeights weights{.reconstruction = found(inputs[0], "weight/reconstruction"),
                            .kl = found(inputs[0], "weight/kl"),
                            .alignment = found(inputs[0], "weight/alignment"),
                            .perceptual = found(inputs[0], "weight/perceptual"),
                            .adversarial = found(inputs[0], "weight/adversarial")};
  const bool adversarial = weights.adversarial.defined();
  if (adversarial) networks_.discriminator->begin();
  int64_t batch = 0;
  for (size_t i = 1; i < inputs.size(); ++i) batch += inputs[i].at("images").size(0);
  Pass pass{.judged = {}, .broken = at::zeros_like(skipped_in_row_)};
  try {
    for (size_t i = 1; i < inputs.size(); ++i) {
      const auto& part = inputs[i];
      const auto images = to_network_images(part.at("images"), device);
      const double share = static_cast<double>(images.size(0)) / static_cast<double>(batch);
      const auto [total, prediction] =
          loss_.forward(images, found(part, "features"), weights, part, share, meter);
      const Phase phase("backward");
      (total * share).backward();
      pass.broken = at::max(pass.broken, total.detach().isfinite().logical_not().to(at::kFloat));
      if (adversarial) pass.judged.push_back({images, prediction, part, share});
    }
  } catch (...) {  // a failed step leaves no gradients behind
    optimizer_.zero_grad();
    if (adversarial) networks_.discriminator->abandon();
    throw;
  }
  return pass;
}

at::Tensor TokenizerStep::train_discriminator(const Inputs& inputs,
                                              const std::vector<MicroBatch>& batches,
                                              Meter& meter) {
  const at::AutoGradMode with_grad(true);
  const Autocast autocast(skipped_in_row_.device().type(), options_.precision);
  try {
    for (const auto& [images, prediction, draws, share] : batches) {
      networks_.discriminator->backward(images, prediction, inputs[0].at("weight/adversarial"),
                                        draws, share, meter);
    }
  } catch (...) {
    networks_.discriminator->abandon();
    throw;
  }
  return networks_.discriminator->update(inputs[0].at("lr"), meter);
}

Outputs TokenizerStep::update(const Inputs& inputs) {
  Meter meter;
  Phase phase("inputs");  // and whatever no phase within claims
  const auto pass = backward(inputs, meter);
  phase.next("optimiser");
  const auto outcome = optimizer_.step(inputs[0].at("lr"), pass.broken);
  optimizer_.zero_grad();
  phase.next("EMA");
  ema_.update(outcome.skipped);
  auto skipped = outcome.skipped;
  if (!pass.judged.empty()) {
    phase.next("discriminator");
    skipped = at::max(skipped, train_discriminator(inputs, pass.judged, meter));
    networks_.discriminator->finish(skipped);
  }
  phase.next("metrics");
  skipped_in_row_.add_(1).mul_(skipped);
  meter.add("gradNorm", outcome.norm);
  meter.count("skipped", outcome.skipped);
  return meter.sums();
}

void TokenizerStep::step(const std::vector<at::Tensor>& micro_batches, const StepSchedule& schedule,
                         const std::vector<at::Tensor>& features) {
  const StepSpan span(schedule.step);
  Phase phase("inputs");
  const auto inputs = prepare(micro_batches, features, schedule);
  const auto sums = update_(inputs);
  phase.next("metrics");
  meter_.add_step(Meter(sums));
}

NamedTensors TokenizerStep::gradients(const std::vector<at::Tensor>& micro_batches,
                                      const StepSchedule& schedule) {
  Meter unread;
  const auto pass = backward(prepare(micro_batches, {}, schedule), unread);
  if (!pass.judged.empty()) networks_.discriminator->abandon();
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
  if (networks_.discriminator) result.try_emplace("discriminatorCalls", 0);
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
