#pragma once

#include "runtime/torch.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "models/vit.h"
#include "nn/linear.h"
#include "nn/patch_embed.h"
#include "nn/soft_quantizer.h"

namespace mactok {

struct TokenizerOptions {
  int64_t image, patch;      ///< pixels a side of the image and of a patch
  int64_t tokens, channels;  ///< L, Z
  std::string
      bottleneck;  ///< "kl": a Gaussian posterior; "ae": latents as they are; "softvq": mixed from codes
  double logvar_min, logvar_max;
  std::optional<SoftQuantizerOptions> softvq;  ///< of a "softvq" bottleneck
  VitOptions encoder, decoder;                 ///< their grid and patch are the image's
  bool prune;  ///< compute only the needed tokens in the last blocks
  bool checkpointing;
};

/** Gaussian over latents, float32 [B, L, Z] each; without "kl" `logvar` is undefined. */
struct Posterior {
  at::Tensor mean, logvar;
};

/**
 * Latent tokens look at the patches of an image. Tokens: latents, `cls`, registers, patches. Its patches always have learned
 * positions (DINOv2's, to begin with); RoPE comes on top, as in MAETok.
 */
class Encoder : public Vit {
 public:
  Encoder(const VitOptions& options, int64_t tokens);

  /** images: [B, 3, H, W] in [-1, 1]; mask: bool [B, N], true = replaced by the mask token, or undefined -> float32 [B, L, D]. */
  at::Tensor forward(const at::Tensor& images, const at::Tensor& mask) const;

 private:
  std::shared_ptr<PatchEmbed> patch_embed_;
  at::Tensor mask_token_, latent_tokens_, latent_pos_embed_;
};

/**
 * Copies of one token, told apart by their positions, look at the latents. Tokens: patches, `cls`, registers, latents. RoPE replaces
 * the learned positions.
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

  /** The weight of the layer that makes pixels. */
  const at::Tensor& last_layer() const { return to_pixels_->weight; }

 private:
  TokenizerOptions options_;
  std::shared_ptr<Encoder> encoder_;
  std::shared_ptr<Linear> to_posterior_, from_latents_;
  std::shared_ptr<SoftQuantizer> quantize_;  // softvq
  std::shared_ptr<Decoder> decoder_;
  std::shared_ptr<Linear> to_pixels_;
};

/** Initial values of all parameters, a function of the seed and their names alone (see Vit's). */
void initialize(Tokenizer& tokenizer, uint64_t seed);

}  // namespace mactok
