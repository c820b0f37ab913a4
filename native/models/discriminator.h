#pragma once

#include "runtime/torch.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "models/dinov2.h"
#include "nn/batch_norm.h"
#include "nn/spectral_conv1d.h"

namespace mactok {

struct DiscriminatorOptions {
  VitOptions backbone;          ///< DINO v1 or DINOv2; grid·patch is the side of its input
  std::vector<int64_t> levels;  ///< features before block 0 and after these blocks, ascending
  int64_t kernel;               ///< of the residual convolution
};

/** Spectral convolution, batch norm, leaky ReLU; parameters `0.*` and `1.*`. [B, N, D] -> float32 [B, N, D]. */
class DiscriminatorBlock : public torch::nn::Module {
 public:
  DiscriminatorBlock(int64_t width, int64_t kernel);
  at::Tensor forward(const at::Tensor& x) const;

 private:
  std::shared_ptr<SpectralConv1d> convolution_;
  std::shared_ptr<BatchNorm> norm_;
};

/** block(1), (block(kernel)(x) + x)/√2, spectral convolution to one channel; parameters `0.*`, `1.fn.*`, `2.*`. */
class DiscriminatorHead : public torch::nn::Module {
 public:
  DiscriminatorHead(int64_t width, int64_t kernel);

  /** [B, N, D] -> float32 [B, N]. */
  at::Tensor forward(const at::Tensor& x) const;

 private:
  std::shared_ptr<DiscriminatorBlock> first_, residual_;
  std::shared_ptr<SpectralConv1d> last_;
};

/**
 * Tells images from reconstructions by the features of a frozen DINO (StyleGAN-T's idea, in the form of VAR and SoftVQ; method.md
 * §5). Parameters `backbone.*` (frozen, timm's names) and `heads.i.*` (the reference's names).
 */
class Discriminator : public torch::nn::Module {
 public:
  explicit Discriminator(const DiscriminatorOptions& options);

  /**
   * Images [B, 3, H, W] in [-1, 1] as the backbone takes them, [B, 3, side, side], normalised: smaller ones by bicubic interpolation,
   * larger ones as `crop` [1, 3], uniform in [0, 1), says: a coin, below ½ for a crop and else for area resize, and its top and left.
   */
  at::Tensor prepare(const at::Tensor& images, const at::Tensor& crop) const;

  /** Patch features plus `cls` of each level, float32 [B, N, D] each; of prepared images. */
  std::vector<at::Tensor> features(const at::Tensor& prepared) const;

  /**
   * Logits of all levels, float32 [B, levels·N], of one group of images. In training mode a call makes its own batch statistics and
   * one power iteration.
   */
  at::Tensor logits(const std::vector<at::Tensor>& features);

  at::Tensor forward(const at::Tensor& images, const at::Tensor& crop) {
    return logits(features(prepare(images, crop)));
  }

  /** Whether gradients reach the heads; the backbone never has any. */
  void set_trained(bool trained);

  /** Calls of `logits` so far. */
  int64_t calls() const { return calls_; }

 private:
  DiscriminatorOptions options_;
  std::shared_ptr<DinoV2> backbone_;
  std::vector<std::shared_ptr<DiscriminatorHead>> heads_;
  int64_t calls_ = 0;
};

/** Heads: convolutions U(±1/√inputs) as torch's, norms 1 and 0, singular vectors random unit ones; names prefixed `discriminator.`. */
void initialize(Discriminator& discriminator, uint64_t seed);

}  // namespace mactok
