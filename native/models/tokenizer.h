#pragma once

#include "runtime/torch.h"

#include <cstdint>
#include <memory>
#include <optional>

#include "models/vit.h"
#include "nn/linear.h"
#include "nn/patch_embed.h"
#include "nn/soft_quantizer.h"

namespace mactok {

/** How the encoder's output becomes latents. */
enum class Bottleneck {
  /** A Gaussian posterior. */
  kl,
  /** The latents themselves. */
  ae,
  /** Mixtures of codes, see SoftQuantizer. */
  softvq,
};

struct TokenizerOptions {
  /** Sides of the image and of a patch, in pixels. */
  int64_t image, patch;
  /** L, Z. */
  int64_t tokens, channels;
  Bottleneck bottleneck;
  double logvar_min, logvar_max;
  /** Given for a softvq bottleneck only. */
  std::optional<SoftQuantizerOptions> softvq;
  /** Both have the image's patches. */
  VitOptions encoder, decoder;
  /** Compute only the needed tokens in the last blocks. */
  bool prune;
  bool checkpointing;
};

/** Gaussian over latents, float32 [B, L, Z] each; `logvar` is undefined without a kl bottleneck. */
struct Posterior {
  at::Tensor mean, logvar;

  /** mean + exp(logvar/2)·noise for noise of their shape; without a `logvar`, the mean. */
  at::Tensor sample(const at::Tensor& noise) const;
};

/**
 * Latent tokens attend to the patches of an image. Tokens: latents, `cls`, registers, patches. The
 * patches always have learned positions (initially DINOv2's); RoPE adds to them, as in MAETok.
 */
class Encoder : public Vit {
 public:
  Encoder(const VitOptions& options, int64_t tokens);

  /**
   * images: [B, 3, H, W] in [-1, 1]; mask: bool [B, N], true where the mask token replaces a patch,
   * or undefined -> float32 [B, L, D].
   */
  at::Tensor forward(const at::Tensor& images, const at::Tensor& mask) const;

 private:
  std::shared_ptr<PatchEmbed> patch_embed_;
  at::Tensor mask_token_, latent_tokens_, latent_pos_embed_;
};

/**
 * Copies of one token, which differ by their positions, attend to the latents. Tokens: patches,
 * `cls`, registers, latents. RoPE replaces the learned positions.
 */
class Decoder : public Vit {
 public:
  Decoder(const VitOptions& options, int64_t tokens);

  /** latents: [B, L, D] -> float32 [B, N, D]. */
  at::Tensor forward(const at::Tensor& latents) const;

 private:
  at::Tensor reconstruction_token_, latent_pos_embed_;
};

/** The 1-D tokenizer (method: MacTok; architecture as SoftVQ and MAETok). */
class Tokenizer : public torch::nn::Module {
 public:
  explicit Tokenizer(const TokenizerOptions& options);

  /** images: float [B, 3, H, W] in [-1, 1]; mask: bool [B, N], true = masked, or undefined. */
  Posterior encode(const at::Tensor& images, const at::Tensor& mask = {}) const;

  /** latents: [B, L, Z] -> float32 [B, 3, H, W], about [-1, 1], not clamped. */
  at::Tensor decode(const at::Tensor& latents) const;

  void set_checkpointing(bool enabled);

  const TokenizerOptions& options() const { return options_; }

  /** The weight of the layer that predicts pixels. */
  const at::Tensor& last_layer() const { return to_pixels_->weight; }

 private:
  TokenizerOptions options_;
  std::shared_ptr<Encoder> encoder_;
  std::shared_ptr<Linear> to_posterior_, from_latents_;
  /** Null without a softvq bottleneck. */
  std::shared_ptr<SoftQuantizer> quantize_;
  std::shared_ptr<Decoder> decoder_;
  std::shared_ptr<Linear> to_pixels_;
};

/** Initialises all parameters as functions of the seed and their names alone (see Vit's). */
void initialize(Tokenizer& tokenizer, uint64_t seed);

}  // namespace mactok
