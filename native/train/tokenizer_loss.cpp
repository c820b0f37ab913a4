#include "train/tokenizer_loss.h"

#include <optional>

#include "losses/adversarial.h"
#include "losses/kl.h"
#include "nn/early_gradient.h"
#include "runtime/profiler.h"

namespace mactok {
namespace {

at::Tensor psnr(const at::Tensor& prediction, const at::Tensor& images) {
  const auto error = (prediction.clamp(-1, 1) - images).square().mean({1, 2, 3});  // [B]
  return (10.0 * (4.0 / error.clamp_min(1e-10)).log10()).mean();
}

/** Over the batch of all ranks: [B, L, Z] -> [L, Z]. */
at::Tensor variance(const at::Tensor& x, ProcessGroup* group) {
  if (!group) return x.var(0, /*unbiased=*/false);
  const auto [own, mean] = at::var_mean(x.to(at::kDouble), at::IntArrayRef{0}, /*unbiased=*/false);
  const auto both = at::stack({mean, own + mean.square()});
  group->sum(both);
  both.div_(group->size());
  return both[1] - both[0].square();
}

/** Splits precomputed features [B, 1 + N, D]; float32. */
Features split_features(const at::Tensor& features, const at::Tensor& images) {
  TORCH_CHECK(features.dim() == 3 && features.size(0) == images.size(0) && features.size(1) > 1,
              "features: expected [", images.size(0), ", 1 + N, D] but received ",
              features.sizes());
  const auto moved = features.to(images.device(), at::kFloat);
  return {.cls = moved.select(1, 0), .patches = moved.narrow(1, 1, moved.size(1) - 1)};
}

}  // namespace

std::vector<at::Tensor*> TokenizerDraws::tensors() {
  auto result = mask.tensors();
  result.push_back(&posterior);
  const auto views = discriminator.tensors();
  result.insert(result.end(), views.begin(), views.end());
  return result;
}

std::vector<at::Tensor*> TokenizerPart::tensors() {
  auto result = draws.tensors();
  result.insert(result.end(), {&images, &features});
  return result;
}

TokenizerLoss::TokenizerLoss(TokenizerNetworks networks, TokenizerLossOptions options)
    : networks_(std::move(networks)), options_(std::move(options)) {
  if (networks_.heads && !networks_.teacher)
    throw std::invalid_argument("Alignment needs a teacher");
}

bool TokenizerLoss::has_semantic_masks() const {
  const auto& masking = options_.masking;
  return networks_.teacher && masking.target == MaskTarget::image && masking.semantic > 0;
}

TokenizerDraws TokenizerLoss::draw(const random::Samples& samples, bool adversarial) const {
  const auto& shape = networks_.tokenizer->options();
  const auto& masking = options_.masking;
  TokenizerDraws draws;
  if (masking.target == MaskTarget::image) {
    const int64_t grid = shape.image / shape.patch;
    draws.mask = draw_mask(masking, samples, grid * grid, has_semantic_masks());
  } else if (masking.target == MaskTarget::latent) {
    draws.mask = draw_mask(masking, samples, shape.tokens, /*semantic=*/false);
  }
  if (shape.bottleneck == Bottleneck::kl) {
    draws.posterior = samples.normal("posterior", shape.tokens * shape.channels);
  }
  if (adversarial) draws.discriminator = networks_.discriminator->draw(samples);
  return draws;
}

TokenizerLoss::Result TokenizerLoss::forward(const at::Tensor& images, const TokenizerPart& part,
                                             const LossWeights<at::Tensor>& weights, double share,
                                             Meter& meter) const {
  Phase phase("teacher");
  const auto& [tokenizer, teacher, heads, perceptual_network, discriminator] = networks_;
  const auto& masking = options_.masking;

  std::optional<Features> features;
  if (teacher && (heads || has_semantic_masks())) {
    features =
        part.features.defined() ? split_features(part.features, images) : teacher->features(images);
  }

  at::Tensor hidden;  // bool [B, N]
  if (masking.target == MaskTarget::image) {
    phase.next("masks");
    const auto& shape = tokenizer->options();
    const auto scores =
        has_semantic_masks() ? semantic_scores(*features, shape.image / shape.patch) : at::Tensor();
    hidden = image_mask(masking, scores, part.draws.mask);
    meter.add("maskRatio", hidden.to(at::kFloat).mean(), share);
  }

  phase.next("encoder");
  Posterior posterior;  // mean, logvar [B, L, Z]
  {
    const at::AutoGradMode encoder_trains(!options_.decoder_only);
    posterior = tokenizer->encode(images, hidden);
  }
  phase.next("losses");
  const auto latents = posterior.sample(part.draws.posterior);
  const auto kl = posterior.logvar.defined() ? kl_divergence(posterior).mean()
                                             : at::zeros({}, latents.options().dtype(at::kFloat));

  auto decoded = latents;
  if (masking.target == MaskTarget::latent) {
    const auto dropped = image_mask(masking, {}, part.draws.mask);  // [B, L]
    decoded = latents.masked_fill(dropped.unsqueeze(-1), 0.0);
    meter.add("maskRatio", dropped.to(at::kFloat).mean(), share);
  }
  phase.next("decoder");
  const auto prediction = tokenizer->decode(decoded).to(at::kFloat);  // [B, 3, H, W]

  phase.next("losses");
  const auto reconstruction = reconstruction_loss(options_.reconstruction, prediction, images);
  auto total = weights.reconstruction * reconstruction + weights.kl * kl;
  if (heads) {
    const auto& aligned = options_.align_on == AlignedLatents::mean ? posterior.mean : latents;
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

  // The adaptive weight compares the adversarial term's gradient with that of these terms.
  auto pixel_terms = weights.reconstruction * reconstruction;
  if (weights.perceptual.defined()) {
    const auto perceptual = early_gradient(
        [&](const at::Tensor& x) { return perceptual_network->forward(x, images).mean(); },
        prediction);
    pixel_terms = pixel_terms + weights.perceptual * perceptual;
    total = total + weights.perceptual * perceptual;
    meter.add("perceptual", perceptual, share);
  }
  if (weights.adversarial.defined()) {
    phase.next("discriminator");
    const auto adversarial = early_gradient(
        [&](const at::Tensor& x) {
          return discriminator->generator_loss(x, part.draws.discriminator);
        },
        prediction);
    phase.next("losses");
    meter.add("adversarial", adversarial, share);
    auto term = weights.adversarial * adversarial;
    if (discriminator->options().adaptive) {
      const auto weight =
          adaptive_weight(pixel_terms, adversarial, tokenizer->last_layer(), options_.group.get());
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
  meter.add("activeUnits",
            (variance(posterior.mean, options_.group.get()) > 0.01).to(at::kFloat).mean(), share);
  return {.total = total, .prediction = prediction.detach()};
}

}  // namespace mactok
