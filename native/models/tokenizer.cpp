#include "models/tokenizer.h"

#include <c10/core/impl/LocalDispatchKeySet.h>

#include "nn/initialize.h"

namespace mactok {

at::Tensor Posterior::sample(const at::Tensor& noise) const {
  return logvar.defined() ? mean + (0.5 * logvar).exp() * noise.view_as(mean) : mean;
}

Encoder::Encoder(const VitOptions& options, int64_t tokens)
    : Vit(options, /*learned_positions=*/true),
      patch_embed_(register_module("patch_embed",
                                   std::make_shared<PatchEmbed>(options.patch, options.width))),
      mask_token_(register_parameter("mask_token", at::empty({1, 1, options.width}))),
      latent_tokens_(register_parameter("latent_tokens", at::empty({1, tokens, options.width}))),
      latent_pos_embed_(
          register_parameter("latent_pos_embed", at::empty({1, tokens, options.width}))) {}

at::Tensor Encoder::forward(const at::Tensor& images, const at::Tensor& mask) const {
  const int64_t batch = images.size(0), count = latent_tokens_.size(1);
  auto image = patch_embed_->forward(images);  // [B, N, D]
  if (mask.defined()) image = at::where(mask.unsqueeze(2), mask_token_, image);
  const auto latents = (latent_tokens_ + latent_pos_embed_).expand({batch, -1, -1});
  const auto tokens = at::cat({latents, prefix_tokens(batch), add_positions(image)}, 1);
  return transform(tokens, count + prefix(), count);
}

Decoder::Decoder(const VitOptions& options, int64_t tokens)
    : Vit(options, /*learned_positions=*/options.positions == Positions::learned),
      reconstruction_token_(
          register_parameter("reconstruction_token", at::empty({1, 1, options.width}))),
      latent_pos_embed_(
          register_parameter("latent_pos_embed", at::empty({1, tokens, options.width}))) {}

at::Tensor Decoder::forward(const at::Tensor& latents) const {
  const int64_t batch = latents.size(0), count = patches();
  const auto image =
      add_positions(reconstruction_token_.expand({-1, count, -1})).expand({batch, -1, -1});
  const auto tokens =
      at::cat({image, prefix_tokens(batch), latents + latent_pos_embed_}, 1);  // [B, N + P + L, D]
  return transform(tokens, 0, count);
}

Tokenizer::Tokenizer(const TokenizerOptions& options) : options_(options) {
  const bool softvq = options.bottleneck == Bottleneck::softvq;
  TORCH_CHECK(softvq == options.softvq.has_value(),
              "softvq: expected with bottleneck softvq, and with no other");
  for (const VitOptions* vit : {&options.encoder, &options.decoder}) {
    TORCH_CHECK(vit->patch == options.patch && vit->grid * vit->patch == options.image,
                "tokenizer: expected patches that cover ", options.image, " pixels but received ",
                vit->grid, " of ", vit->patch);
  }
  const int64_t moments = options.bottleneck == Bottleneck::kl ? 2 : 1;
  encoder_ = register_module("encoder", std::make_shared<Encoder>(options.encoder, options.tokens));
  to_posterior_ = register_module(
      "to_posterior", std::make_shared<Linear>(options.encoder.width, moments * options.channels));
  if (softvq) {
    TORCH_CHECK(options.tokens % options.softvq->codebooks == 0,
                "codebooks: expected a divisor of ", options.tokens, " tokens but received ",
                options.softvq->codebooks);
    quantize_ = register_module("quantize",
                                std::make_shared<SoftQuantizer>(*options.softvq, options.channels));
  }
  from_latents_ = register_module(
      "from_latents", std::make_shared<Linear>(options.channels, options.decoder.width));
  decoder_ = register_module("decoder", std::make_shared<Decoder>(options.decoder, options.tokens));
  to_pixels_ = register_module(
      "to_pixels",
      std::make_shared<Linear>(options.decoder.width, 3 * options.patch * options.patch));
  encoder_->set_pruning(options.prune);
  decoder_->set_pruning(options.prune);
  set_checkpointing(options.checkpointing);
}

Posterior Tokenizer::encode(const at::Tensor& images, const at::Tensor& mask) const {
  const auto tokens = encoder_->forward(images, mask);  // [B, L, D]
  // In float32 even under autocast, which would round latents and KL to bfloat16.
  const c10::impl::ExcludeDispatchKeyGuard no_autocast(c10::autocast_dispatch_keyset);
  const auto moments = to_posterior_->forward(tokens);  // [B, L, 2Z or Z]
  if (quantize_) return {.mean = quantize_->forward(moments), .logvar = {}};
  if (options_.bottleneck == Bottleneck::ae) return {.mean = moments, .logvar = {}};
  const auto parts = moments.chunk(2, -1);
  return {.mean = parts[0], .logvar = parts[1].clamp(options_.logvar_min, options_.logvar_max)};
}

at::Tensor Tokenizer::decode(const at::Tensor& latents) const {
  const auto patches = decoder_->forward(from_latents_->forward(latents));  // [B, N, D]
  const auto pixels = to_pixels_->forward(patches).to(at::kFloat);          // [B, N, 3p²]
  return unpatchify(pixels, options_.decoder.grid, options_.patch);
}

void Tokenizer::set_checkpointing(bool enabled) {
  encoder_->set_checkpointing(enabled);
  decoder_->set_checkpointing(enabled);
}

void initialize(Tokenizer& tokenizer, uint64_t seed) {
  for (const auto& child : tokenizer.named_children()) {
    if (auto* vit = child.value()->as<Vit>()) {
      initialize(*vit, child.key() + ".", seed);
    } else if (const auto* linear = child.value()->as<Linear>()) {
      init::normal(linear->weight, seed, child.key() + ".weight", .02);
      init::constant(linear->bias, 0);
    } else if (const auto* quantizer = child.value()->as<SoftQuantizer>()) {
      const auto& codes = quantizer->embedding;
      init::uniform(codes, seed, child.key() + ".embedding",
                    1 / static_cast<double>(codes.size(1)));
    }
  }
}

}  // namespace mactok
