#pragma once

#include "runtime/torch.h"

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "distributed/process_group.h"
#include "models/dinov2.h"
#include "nn/batch_norm.h"
#include "nn/group.h"
#include "nn/imagenet.h"
#include "nn/spectral_conv1d.h"

namespace mactok {

struct DiscriminatorOptions {
  /** DINO v1 or DINOv2; grid·patch is the side of its input. */
  VitOptions backbone;
  /** Features are taken before block 0 and after these blocks, ascending. */
  std::vector<int64_t> levels;
  /** Kernel size of the residual convolution. */
  int64_t kernel;
};

/**
 * Spectral convolution, batch norm, leaky ReLU; parameters `0.*` and `1.*`. [B, N, G·D] -> float32
 * [B, N, G·D].
 */
class DiscriminatorBlock : public torch::nn::Module {
 public:
  DiscriminatorBlock(int64_t width, int64_t kernel);
  static at::Tensor forward(const Group<DiscriminatorBlock>& blocks, const at::Tensor& x);

  std::shared_ptr<SpectralConv1d> convolution;
  std::shared_ptr<BatchNorm> norm;
};

/**
 * block(1), (block(kernel)(x) + x)/√2, spectral convolution to one channel; parameters `0.*`,
 * `1.fn.*`, `2.*`.
 */
class DiscriminatorHead : public torch::nn::Module {
 public:
  DiscriminatorHead(int64_t width, int64_t kernel);

  /** [B, N, G·D] -> float32 [B, G·N]. */
  static at::Tensor forward(const Group<DiscriminatorHead>& heads, const at::Tensor& x);

  /** The logits of the first block's output and the residual block's. */
  static at::Tensor finish(const Group<DiscriminatorHead>& heads, const at::Tensor& first,
                           const at::Tensor& residual);

  std::shared_ptr<DiscriminatorBlock> first, residual;
  std::shared_ptr<SpectralConv1d> last;
};

/**
 * Discriminates images from reconstructions by the features of a frozen DINO (from StyleGAN-T, as
 * VAR and SoftVQ use it; method.md §5). Parameters `backbone.*` (frozen, timm's names) and
 * `heads.i.*` (the reference's names).
 */
class Discriminator : public torch::nn::Module {
 public:
  explicit Discriminator(const DiscriminatorOptions& options);

  /**
   * Resizes images [B, 3, H, W] in [-1, 1] to [B, 3, side, side] and normalises them for the
   * backbone. Smaller images are interpolated bicubically; larger ones are cropped or area-resized
   * by `crop` [1, 3], uniform in [0, 1): a coin (below ½: crop), and the crop's top and left.
   */
  at::Tensor prepare(const at::Tensor& images, const at::Tensor& crop) const;

  /** The patches' features plus `cls` at each level, float32 [B, N, D] each, of prepared images. */
  std::vector<at::Tensor> features(const at::Tensor& prepared) const;

  /**
   * Logits of all levels, float32 [B, levels·N]. In training mode each call computes its own batch
   * statistics and one power iteration.
   */
  at::Tensor logits(const std::vector<at::Tensor>& features);

  at::Tensor forward(const at::Tensor& images, const at::Tensor& crop) {
    return logits(features(prepare(images, crop)));
  }

  /** Batch statistics are then those of all ranks' batches. */
  void set_group(std::shared_ptr<ProcessGroup> group) { group_ = std::move(group); }

  /** Sets whether gradients reach the heads' parameters; the backbone's never have any. */
  void set_trained(bool trained);

  /** How often `logits` was called. */
  int64_t calls() const { return calls_; }

 private:
  /** A block of every head, in step, so that all heads' statistics are reduced at once. */
  using Block = std::shared_ptr<DiscriminatorBlock> DiscriminatorHead::*;
  std::vector<at::Tensor> run_blocks(Block block, const std::vector<at::Tensor>& xs);

  DiscriminatorOptions options_;
  ImagenetNormalization normalize_;
  std::shared_ptr<DinoV2> backbone_;
  Group<DiscriminatorHead> heads_;
  /** Null for a process alone. */
  std::shared_ptr<ProcessGroup> group_;
  int64_t calls_ = 0;
};

/**
 * Initialises the heads: convolutions U(±1/√inputs) as torch's, norms 1 and 0, random unit singular
 * vectors; streams `init/discriminator.NAME`.
 */
void initialize(Discriminator& discriminator, uint64_t seed);

}  // namespace mactok
