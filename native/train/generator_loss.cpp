#include "train/generator_loss.h"

#include <optional>

#include "losses/adversarial.h"
#include "losses/kl.h"
#include "losses/reconstruction.h"
#include "nn/early_gradient.h"
#include "runtime/profiler.h"

namespace mactok {
namespace {

at::Tensor psnr(const at::Tensor& prediction, const at::Tensor& images) {
  const auto error = (prediction.clamp(-1, 1) - images).square().mean({1, 2, 3});  // [B]
  return (10.0 * (4.0 / error.clamp_min(1e-10)).log10()).mean();
}

/** Features [B, 1 + N, D] that were computed before, in float32. */
Features split_features(const at::Tensor& known, const at::Tensor& images) {
  TORCH_CHECK(known.dim() == 3 && known.size(0) == images.size(0) && known.size(1) > 1,
              "features: expected [", images.size(0), ", 1 + N, D] but received ", known.sizes());
  const auto moved = known.to(images.device(), at::kFloat);
  return {.cls = moved.select(1, 0), .patches = moved.narrow(1, 1, moved.size(1) - 1)};
}

}  // namespace

GeneratorLoss::GeneratorLoss(GeneratorNetworks networks, GeneratorLossOptions options)
    : networks_(std::move(networks)), options_(std::move(options)) {
  if (networks_.heads && !networks_.teacher)
    throw std::invalid_argument("Alignment needs a teacher");
}

bool GeneratorLoss::semantic() const {
  return networks_.teacher && options_.masking.target == "image" && options_.masking.semantic > 0;
}

Draws GeneratorLoss::draw(const random::Samples& samples, bool judged) const {
  const auto& shape = networks_.tokenizer->options();
  const auto& target = options_.masking.target;
  Draws draws;
  if (target == "image") {
    const int64_t grid = shape.image / shape.patch;
    draws.merge(draw_mask(options_.masking, samples, grid * grid, semantic()));
  } else if (target == "latent") {
    draws.merge(draw_mask(options_.masking, samples, shape.tokens, /*semantic=*/false));
  }
  if (shape.bottleneck == "kl") {
    draws.emplace("posterior", samples.normal("posterior", shape.tokens * shape.channels));
  }
  if (judged) draws.merge(networks_.discriminator->draw(samples));
  return draws;
}

GeneratorLoss::Result GeneratorLoss::forward(const at::Tensor& images, const at::Tensor& known,
                                             const LossWeights& weights, const Draws& draws,
                                             double share, Meter& meter) const {
  Phase phase("teacher");
  const auto& [tokenizer, teacher, heads, perceptual_network, discriminator] = networks_;
  const auto& masking = options_.masking;

  std::optional<Features> features;
  if (teacher && (heads || semantic())) {
    features = known.defined() ? split_features(known, images) : teacher->features(images);
  }

  at::Tensor hidden;  // bool [B, N]
  if (masking.target == "image") {
    phase.next("masks");
    const auto& shape = tokenizer->options();
    hidden = image_mask(
        masking, semantic() ? semantic_scores(*features, shape.image / shape.patch) : at::Tensor(),
        draws);
    meter.add("maskRatio", hidden.to(at::kFloat).mean(), share);
  }

  phase.next("encoder");
  Posterior posterior;  // mean, logvar [B, L, Z]
  {
    const at::AutoGradMode encoder_trains(!options_.decoder_only);
    posterior = tokenizer->encode(images, hidden);
  }
  phase.next("losses");
  auto latents = posterior.mean;
  auto kl = at::zeros({}, latents.options().dtype(at::kFloat));
  if (posterior.logvar.defined()) {
    const auto noise = draws.at("posterior").view_as(latents);
    latents = posterior.mean + (0.5 * posterior.logvar).exp() * noise;
    kl = kl_divergence(posterior).mean();
  }

  auto decoded = latents;
  if (masking.target == "latent") {
    const auto dropped = image_mask(masking, {}, draws);  // [B, L]
    decoded = latents.masked_fill(dropped.unsqueeze(-1), 0.0);
    meter.add("maskRatio", dropped.to(at::kFloat).mean(), share);
  }
  phase.next("decoder");
  const auto prediction = tokenizer->decode(decoded).to(at::kFloat);  // [B, 3, H, W]

  phase.next("losses");
  const auto reconstruction = reconstruction_loss(prediction, images, options_.reconstruction);
  auto total = weights.reconstruction * reconstruction + weights.kl * kl;
  if (heads) {
    const auto& aligned = options_.align_on_mean ? posterior.mean : latents;
    if (options_.alignment.local) {
      const auto cosine = heads->local_cosine(aligned, features->patches);
      total = total - weights.alignment * cosine;
      meter.add("alignLocal", cosine, share);
    }
    if (options_.alignment.global) {
      const auto cosine = heads->global_cosine(aligned, features->cls);
      total = total - weights.alignment * cosine;
      meter.add("alignGlobal", cosine, share);
    }
  }

  auto seen = weights.reconstruction * reconstruction;  // what the adaptive weight is held against
  if (weights.perceptual.defined()) {
    TORCH_CHECK(perceptual_network, "the perceptual term needs LPIPS");
    const auto perceptual = early_gradient(
        [&](const at::Tensor& x) { return perceptual_network->forward(x, images).mean(); },
        prediction);
    seen = seen + weights.perceptual * perceptual;
    total = total + weights.perceptual * perceptual;
    meter.add("perceptual", perceptual, share);
  }
  if (weights.adversarial.defined()) {
    TORCH_CHECK(discriminator, "the adversarial term needs a discriminator");
    phase.next("discriminator");
    const auto adversarial = early_gradient(
        [&](const at::Tensor& x) { return discriminator->judge(x, draws); }, prediction);
    phase.next("losses");
    meter.add("adversarial", adversarial, share);
    auto term = weights.adversarial * adversarial;
    if (discriminator->options().adaptive) {
      const auto weight = adaptive_weight(seen, adversarial, tokenizer->last_layer());
      term = weight * term;
      meter.add("adaptiveWeight", weight, share);
    }
    total = total + term;
  }

  phase.next("metrics");
  const at::NoGradGuard no_grad;
  meter.add("total", total, share);
  meter.add("reconstruction", reconstruction, share);
  meter.add("kl", kl, share);
  meter.add("psnr", psnr(prediction, images), share);
  meter.add("activeUnits", (posterior.mean.var(0, /*unbiased=*/false) > 0.01).to(at::kFloat).mean(),
            share);
  return {.total = total, .prediction = prediction.detach()};
}

}  // namespace mactok
