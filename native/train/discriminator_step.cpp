#include "train/discriminator_step.h"

#include "runtime/gradients.h"

namespace mactok {
namespace {

template <typename Items>
NamedTensors select_heads(const Items& items) {
  NamedTensors result;
  for (const auto& item : items) {
    if (item.key().starts_with("heads.")) result.emplace_back(item.key(), item.value());
  }
  return result;
}

ViewDraws draw_view(const random::Samples& samples, const std::string& view) {
  const auto stream = "discriminator/" + view;
  return {.augment = {.strengths = samples.uniform(stream + "/strengths", 7),
                      .coins = samples.shared_uniform(stream + "/coins", 3)},
          .crop = samples.shared_uniform(stream + "/crop", 3)};
}

std::vector<at::Tensor> join(const NamedTensors& some, const NamedTensors& others) {
  auto result = detach_all(some);
  for (const auto& [name, tensor] : others) result.push_back(tensor);
  return result;
}

/** Part i of `count` equal parts of the batch, at every level. */
std::vector<at::Tensor> select_view(const std::vector<at::Tensor>& features, int64_t i,
                                    int64_t count) {
  std::vector<at::Tensor> result;
  for (const auto& level : features) {
    const int64_t size = level.size(0) / count;
    result.push_back(level.narrow(0, i * size, size));
  }
  return result;
}

}  // namespace

std::vector<at::Tensor*> DiscriminatorDraws::tensors() {
  std::vector<at::Tensor*> result;
  for (auto* view : {&generator, &real, &fake, &strong_real, &strong_fake}) {
    result.insert(result.end(), {&view->augment.strengths, &view->augment.coins, &view->crop});
  }
  return result;
}

DiscriminatorStep::DiscriminatorStep(std::shared_ptr<Discriminator> discriminator,
                                     DiscriminatorStepOptions options)
    : options_(std::move(options)),
      discriminator_(std::move(discriminator)),
      parameters_(select_heads(discriminator_->named_parameters())),
      buffers_(select_heads(discriminator_->named_buffers())),
      optimizer_(options_.optimizer, parameters_),
      lecam_(options_.lecam_decay, parameters_.at(0).second.device()),
      buckets_(options_.group
                   ? std::make_unique<GradientBuckets>(list_tensors(parameters_), options_.group)
                   : nullptr),
      before_(join(buffers_, lecam_.state())) {
  discriminator_->train();
  discriminator_->set_group(options_.group);
  discriminator_->set_trained(false);
}

DiscriminatorDraws DiscriminatorStep::draw(const random::Samples& samples) const {
  DiscriminatorDraws draws{.generator = draw_view(samples, "generator"),
                           .real = draw_view(samples, "real"),
                           .fake = draw_view(samples, "fake"),
                           .strong_real = {},
                           .strong_fake = {}};
  if (options_.consistency_weight > 0) {
    draws.strong_real = draw_view(samples, "strong/real");
    draws.strong_fake = draw_view(samples, "strong/fake");
  }
  return draws;
}

at::Tensor DiscriminatorStep::prepare(const at::Tensor& images, const DiffAugmentOptions& augment,
                                      const ViewDraws& draws) const {
  return discriminator_->prepare(diff_augment(images, augment, draws.augment), draws.crop);
}

void DiscriminatorStep::begin() {
  // All ranks iterate from the same vectors, on whatever hardware they are.
  if (options_.group) options_.group->broadcast(list_tensors(buffers_));
  before_.take();
  calls_before_ = discriminator_->calls();
  lecam_.begin();
  broken_ = at::zeros_like(lecam_.state().at(0).second);
}

at::Tensor DiscriminatorStep::generator_loss(const at::Tensor& reconstructions,
                                             const DiscriminatorDraws& draws) {
  const auto prepared = prepare(reconstructions, options_.augment, draws.generator);
  return mactok::generator_loss(options_.loss,
                                discriminator_->logits(discriminator_->features(prepared)));
}

void DiscriminatorStep::backward(const std::vector<Part>& parts, const at::Tensor& weight,
                                 Meter& meter) {
  if (buckets_) buckets_->begin();
  for (const auto& part : parts) backward(part, weight, &part == &parts.back(), meter);
  if (buckets_) buckets_->finish();
}

std::pair<at::Tensor, at::Tensor> DiscriminatorStep::means(const at::Tensor& real,
                                                           const at::Tensor& fake) const {
  const at::NoGradGuard no_grad;
  if (!options_.group) return {real.mean(), fake.mean()};
  const auto both = at::stack({real.mean(), fake.mean()});
  options_.group->sum(both);
  both.div_(options_.group->size());
  return {both[0], both[1]};
}

void DiscriminatorStep::backward(const Part& part, const at::Tensor& weight, bool is_last,
                                 Meter& meter) {
  const auto& [images, reconstructions, draws, share] = part;
  const bool consistent = options_.consistency_weight > 0;
  std::vector<at::Tensor> features;
  {
    // Only the heads train, so all views share one pass through the backbone without gradients.
    const at::NoGradGuard no_grad;
    std::vector<at::Tensor> views{prepare(images, options_.augment, draws.real),
                                  prepare(reconstructions, options_.augment, draws.fake)};
    if (consistent) {
      views.push_back(prepare(images, options_.strong, draws.strong_real));
      views.push_back(prepare(reconstructions, options_.strong, draws.strong_fake));
    }
    features = discriminator_->features(at::cat(views));
  }

  discriminator_->set_trained(true);
  const int64_t views = consistent ? 4 : 2;
  const auto logits = [&](int64_t i) {
    return discriminator_->logits(select_view(features, i, views));
  };
  const auto real = logits(0), fake = logits(1);
  const auto adversarial = discriminator_loss(options_.loss, real, fake);
  auto total = weight * adversarial;
  if (options_.lecam_weight > 0) {
    const auto [mean_real, mean_fake] = means(real, fake);
    lecam_.update(mean_real, mean_fake, share * (options_.group ? options_.group->size() : 1));
    const auto lecam = lecam_.loss(real, fake);
    total = total + weight * options_.lecam_weight * lecam;
    meter.add("lecam", lecam, share);
  }
  if (consistent) {
    const auto strong_real = logits(2), strong_fake = logits(3);
    const auto consistency =
        at::mse_loss(at::cat({real, fake}), at::cat({strong_real, strong_fake}));
    total = total + options_.consistency_weight * consistency;
    meter.add("consistency", consistency, share);
  }
  if (buckets_ && is_last) buckets_->start_at_last_pass();
  run_backward(total * share);
  discriminator_->set_trained(false);

  const at::NoGradGuard no_grad;
  broken_ = at::max(broken_, is_not_finite(total));
  meter.add("discriminator", adversarial, share);
  meter.add("logitsReal", real.mean(), share);
  meter.add("logitsFake", fake.mean(), share);
  meter.add("accuracyReal", (real > 0).to(at::kFloat).mean(), share);
  meter.add("accuracyFake", (fake < 0).to(at::kFloat).mean(), share);
}

at::Tensor DiscriminatorStep::measure(Meter& meter) {
  norm_ = optimizer_.gradient_norm();
  meter.add("discriminatorGradNorm", norm_);
  return at::max(broken_, is_not_finite(norm_));
}

void DiscriminatorStep::update(const at::Tensor& lr, const at::Tensor& skipped, Meter& meter) {
  optimizer_.step(lr, norm_, skipped);
  optimizer_.zero_grad();
  before_.restore_if(skipped);
  meter.count("discriminatorSkipped", skipped);
  meter.count("discriminatorCalls",
              at::full_like(skipped, static_cast<double>(discriminator_->calls() - calls_before_)));
}

void DiscriminatorStep::abandon() {
  discriminator_->set_trained(false);
  optimizer_.zero_grad();
  before_.restore();
}

std::map<std::string, NamedTensors> DiscriminatorStep::state() const {
  auto heads = parameters_;
  heads.insert(heads.end(), buffers_.begin(), buffers_.end());
  for (const auto& [name, average] : lecam_.state()) heads.emplace_back("lecam." + name, average);
  return {{"discriminator", heads}, {"discriminator_optimizer", optimizer_.state()}};
}

}  // namespace mactok
