#pragma once

#include "runtime/torch.h"

#include <memory>
#include <vector>

#include "models/diffusion_transformer.h"
#include "nn/attention.h"
#include "nn/mlp.h"
#include "nn/modulation.h"

namespace mactok {

/** Pre-norm attention and MLP, modulated by time and class (adaLN-Zero). */
class SitBlock : public torch::nn::Module {
 public:
  SitBlock(int64_t width, int64_t heads, int64_t mlp_hidden);

  /** x: [B, N, D]; condition: [B, D]. */
  at::Tensor forward(const at::Tensor& x, const at::Tensor& condition) const;

 private:
  std::shared_ptr<Attention> attn_;
  std::shared_ptr<MlpLayer> mlp_;
  std::shared_ptr<Modulation> modulation_;
};

/** Norm, modulation and the linear layer that predicts. */
class SitFinalLayer : public torch::nn::Module {
 public:
  SitFinalLayer(int64_t width, int64_t outputs);

  /** x: [B, N, D] -> [B, N, outputs]. */
  at::Tensor forward(const at::Tensor& x, const at::Tensor& condition) const;

 private:
  std::shared_ptr<Linear> linear_;
  std::shared_ptr<Modulation> modulation_;
};

/**
 * The scalable interpolant transformer (Ma et al. 2024), on tokens as in continuous_tokenizer and
 * on grids as in willisma/SiT.
 */
class Sit : public DiffusionTransformer {
 public:
  explicit Sit(const DiffusionTransformerOptions& options);

  at::Tensor forward(const at::Tensor& latents, const at::Tensor& times,
                     const at::Tensor& labels) const override;

 private:
  std::vector<std::shared_ptr<SitBlock>> blocks_;
  std::shared_ptr<SitFinalLayer> final_layer_;
};

}  // namespace mactok
