#pragma once

#include "runtime/torch.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "models/denoiser.h"
#include "nn/linear.h"
#include "nn/patch_embed.h"
#include "nn/timestep_embedder.h"

namespace mactok {

struct DiffusionTransformerOptions {
  /** [L, Z] for tokens, [C, H, H] for latents on a grid. */
  std::vector<int64_t> latent_shape;
  /** Side of a patch on the grid; 1 for tokens. */
  int64_t patch;
  int64_t width, depth, heads;
  double mlp_ratio;
  int64_t classes;
  /** Twice the output channels, of which the second half is discarded (published 2-D SiT). */
  bool learn_sigma;
  bool checkpointing;
};

/**
 * What SiT and LightningDiT share, with their parameter names: `x_embedder` (`.proj` on a grid),
 * `t_embedder.mlp`, `y_embedder.embedding_table.weight` [classes + 1, D], and `pos_embed` [1, N,
 * D], which is fixed and not trained.
 */
class DiffusionTransformer : public Denoiser {
 public:
  explicit DiffusionTransformer(const DiffusionTransformerOptions& options);

  const std::vector<int64_t>& latent_shape() const override { return options_.latent_shape; }
  int64_t classes() const override { return options_.classes; }
  void set_checkpointing(bool enabled) override { checkpointing_ = enabled; }

  const DiffusionTransformerOptions& options() const { return options_; }

  /**
   * The fixed positions: 1-D interleaved sin/cos for tokens, 2-D sin/cos on a grid; float32
   * [1, N, D].
   */
  at::Tensor sincos() const;

 protected:
  bool on_grid() const { return options_.latent_shape.size() == 3; }
  /** Patches per side of the grid. */
  int64_t grid() const { return options_.latent_shape.back() / options_.patch; }
  /** N: latent tokens, or patches. */
  int64_t tokens() const { return on_grid() ? grid() * grid() : options_.latent_shape[0]; }
  /** How many numbers the last layer predicts per token. */
  int64_t outputs() const;

  /** Latents as tokens with their positions, [B, N, D]. */
  at::Tensor embed(const at::Tensor& latents) const;
  /** What modulates the blocks, [B, D]. */
  at::Tensor condition(const at::Tensor& times, const at::Tensor& labels) const;
  /** The last layer's output [B, N, outputs] in the latents' layout, float32. */
  at::Tensor to_latents(const at::Tensor& x) const;

  using Run = std::function<at::Tensor(const at::Tensor&)>;
  /** run(x); where checkpointing is on, only x is kept for the backward pass. */
  at::Tensor checkpointed(const Run& run, const at::Tensor& x, const at::Tensor& condition,
                          const torch::nn::Module& block) const;

 private:
  DiffusionTransformerOptions options_;
  /** Null on a grid. */
  std::shared_ptr<Linear> token_embedder_;
  /** Null for tokens. */
  std::shared_ptr<PatchEmbed> patch_embedder_;
  std::shared_ptr<TimestepEmbedder> t_embedder_;
  at::Tensor class_table_, pos_embed_;
  bool checkpointing_;
};

/**
 * Initialises as DiT, by the seed and the parameters' names: linear layers xavier-uniform, their
 * biases 0, time and class embeddings N(0, .02²), norms 1, and 0 for all of adaLN and the last
 * layer, so that every block starts as the identity.
 */
void initialize(DiffusionTransformer& model, uint64_t seed);

}  // namespace mactok
