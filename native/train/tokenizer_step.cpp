#include "train/tokenizer_step.h"

#include <utility>

#include "nn/network_images.h"

namespace mactok {
namespace {

bool belongs_to_decoder(const std::string& name) {
  return !name.starts_with("encoder.") && !name.starts_with("to_posterior.");
}

TrainedNetworks trained_networks(const TokenizerNetworks& networks, std::shared_ptr<Tokenizer> ema,
                                 bool decoder_only) {
  TrainedNetworks result{.model = networks.tokenizer,
                         .ema = std::move(ema),
                         .is_trained =
                             [decoder_only](const std::string& name) {
                               return !decoder_only || belongs_to_decoder(name);
                             },
                         .others = {},
                         .written = {}};
  if (networks.heads) {
    for (const auto& [name, parameter] : named_parameters(*networks.heads)) {
      result.others.emplace_back("alignment." + name, parameter);
    }
  }
  if (networks.discriminator) {
    for (const auto& [group, tensors] : networks.discriminator->state()) {
      const auto more = detach_all(tensors);
      result.written.insert(result.written.end(), more.begin(), more.end());
    }
  }
  return result;
}

std::vector<TokenizerPart> make_parts(const std::vector<at::Tensor>& micro_batches,
                                      const std::vector<at::Tensor>& features) {
  TORCH_CHECK(features.empty() || features.size() == micro_batches.size(),
              "features: expected one tensor per micro-batch");
  std::vector<TokenizerPart> parts;
  for (size_t i = 0; i < micro_batches.size(); ++i) {
    parts.push_back({.images = micro_batches[i],
                     .features = features.empty() ? at::Tensor() : features[i],
                     .draws = {}});
  }
  return parts;
}

}  // namespace

std::vector<at::Tensor*> TokenizerShared::tensors() {
  return {&lr,
          &weights.reconstruction,
          &weights.kl,
          &weights.alignment,
          &weights.perceptual,
          &weights.adversarial};
}

TokenizerStep::TokenizerStep(TokenizerNetworks networks, std::shared_ptr<Tokenizer> ema,
                             TokenizerStepOptions options)
    : TrainingStep(options.training,
                   trained_networks(networks, std::move(ema), options.loss.decoder_only)),
      networks_(std::move(networks)),
      loss_(networks_, options.loss) {}

TokenizerShared TokenizerStep::make_shared_inputs(const StepSchedule& schedule) const {
  const auto& weights = schedule.weights;
  const bool adversarial = weights.adversarial > 0;
  TORCH_CHECK(!adversarial || networks_.discriminator,
              "the adversarial term needs a discriminator");
  TORCH_CHECK(weights.perceptual == 0 || networks_.perceptual, "the perceptual term needs LPIPS");
  const auto scalar = [](double value) { return at::scalar_tensor(value, at::kFloat); };
  const auto positive = [&](double value) { return value > 0 ? scalar(value) : at::Tensor(); };
  return {.lr = at::scalar_tensor(schedule.lr, at::kDouble),
          .weights = {.reconstruction = scalar(weights.reconstruction),
                      .kl = scalar(weights.kl),
                      .alignment = scalar(weights.alignment),
                      .perceptual = positive(weights.perceptual),
                      .adversarial = positive(weights.adversarial)}};
}

void TokenizerStep::step(const std::vector<at::Tensor>& micro_batches, const StepSchedule& schedule,
                         const std::vector<at::Tensor>& features) {
  run(schedule.step, make_shared_inputs(schedule), make_parts(micro_batches, features));
}

NamedTensors TokenizerStep::gradients(const std::vector<at::Tensor>& micro_batches,
                                      const StepSchedule& schedule) {
  return compute_gradients(schedule.step, make_shared_inputs(schedule),
                           make_parts(micro_batches, /*features=*/{}));
}

void TokenizerStep::draw(const TokenizerShared& shared, const random::Samples& samples,
                         TokenizerPart& part) const {
  part.draws = loss_.draw(samples, shared.weights.adversarial.defined());
}

void TokenizerStep::begin(const Inputs& inputs) {
  if (inputs.shared.weights.adversarial.defined()) networks_.discriminator->begin();
}

at::Tensor TokenizerStep::loss(const TokenizerShared& shared, const TokenizerPart& part,
                               double share, Meter& meter) {
  const auto images = to_network_images(part.images, device());
  const auto [total, prediction] = loss_.forward(images, part, shared.weights, share, meter);
  if (shared.weights.adversarial.defined()) {
    reconstructions_.push_back({.images = images,
                                .reconstructions = prediction,
                                .draws = part.draws.discriminator,
                                .share = share});
  }
  return total;
}

at::Tensor TokenizerStep::backward_others(const Inputs& inputs, Meter& meter) {
  const auto reconstructions = std::exchange(reconstructions_, {});
  if (reconstructions.empty()) return {};
  const Phase phase("discriminator");
  const at::AutoGradMode with_gradients(true);
  const Autocast autocast(device().type(), options().precision);
  networks_.discriminator->backward(reconstructions, inputs.shared.weights.adversarial, meter);
  return networks_.discriminator->measure(meter);
}

void TokenizerStep::update_others(const Inputs& inputs, const at::Tensor& skipped, Meter& meter) {
  if (!inputs.shared.weights.adversarial.defined()) return;
  const Phase phase("discriminator");
  networks_.discriminator->update(inputs.shared.lr, skipped, meter);
}

void TokenizerStep::discard(const Inputs& inputs) {
  reconstructions_.clear();
  if (inputs.shared.weights.adversarial.defined()) networks_.discriminator->abandon();
}

std::map<std::string, double> TokenizerStep::metrics() {
  auto result = TrainingStep::metrics();
  if (networks_.discriminator) result.try_emplace("discriminatorCalls", 0);
  return result;
}

std::map<std::string, NamedTensors> TokenizerStep::state() const {
  auto groups = TrainingStep::state();
  groups["alignment"] = networks_.heads ? named_parameters(*networks_.heads) : NamedTensors{};
  if (networks_.discriminator) groups.merge(networks_.discriminator->state());
  return groups;
}

}  // namespace mactok
