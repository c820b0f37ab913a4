#pragma once

#include "runtime/torch.h"

#include <memory>
#include <vector>

#include "models/diffusion_transformer.h"
#include "nn/attention.h"
#include "nn/modulation.h"
#include "nn/rms_norm.h"

namespace mactok {

struct LightningDitOptions {
  DiffusionTransformerOptions transformer;
  bool qk_norm;
  /** false: adaLN without shifts in the blocks (LightningDiT's `wo_shift`). */
  bool shift;
};

/** w3(silu(a) ⊙ b) with a, b the halves of w12(x). */
class SwiGlu : public torch::nn::Module {
 public:
  SwiGlu(int64_t width, int64_t hidden);

  at::Tensor forward(const at::Tensor& x) const;

 private:
  std::shared_ptr<Linear> w12_, w3_;
};

/** SiT's block with RMS norms, rotary positions and SwiGLU. */
class LightningDitBlock : public torch::nn::Module {
 public:
  explicit LightningDitBlock(const LightningDitOptions& options);

  /** x: [B, N, D]; condition: [B, D]; rotation: complex64 [1, N, D/heads/2]. */
  at::Tensor forward(const at::Tensor& x, const at::Tensor& condition,
                     const at::Tensor& rotation) const;

 private:
  std::shared_ptr<RmsNorm> norm1_, norm2_;
  std::shared_ptr<Attention> attn_;
  std::shared_ptr<SwiGlu> mlp_;
  std::shared_ptr<Modulation> modulation_;
};

/** RMS norm, modulation (always with a shift) and the linear layer that predicts. */
class LightningDitFinalLayer : public torch::nn::Module {
 public:
  LightningDitFinalLayer(int64_t width, int64_t outputs);

  /** x: [B, N, D] -> [B, N, outputs]. */
  at::Tensor forward(const at::Tensor& x, const at::Tensor& condition) const;

 private:
  std::shared_ptr<RmsNorm> norm_final_;
  std::shared_ptr<Linear> linear_;
  std::shared_ptr<Modulation> modulation_;
};

/**
 * LightningDiT (Yao et al. 2025; hustvl/LightningDiT with RMSNorm, SwiGLU and RoPE): fixed sin/cos
 * and rotary positions, 2-D on a grid, 1-D over tokens.
 */
class LightningDit : public DiffusionTransformer {
 public:
  explicit LightningDit(const LightningDitOptions& options);

  at::Tensor forward(const at::Tensor& latents, const at::Tensor& times,
                     const at::Tensor& labels) const override;

 private:
  std::vector<std::shared_ptr<LightningDitBlock>> blocks_;
  std::shared_ptr<LightningDitFinalLayer> final_layer_;
  /** Follows the latents' device. Not a buffer, which would be part of a checkpoint. */
  mutable at::Tensor rotation_;
};

}  // namespace mactok
