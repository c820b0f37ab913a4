#pragma once

#include "runtime/torch.h"

#include <cstdint>
#include <memory>
#include <vector>

#include "models/vit.h"
#include "nn/patch_embed.h"

namespace mactok {

/** Features of images, float32. */
struct Features {
  /** [B, D]. */
  at::Tensor cls;
  /** [B, N, D], row by row. */
  at::Tensor patches;
};

/**
 * DINOv2 with timm's parameter names (`vit_*_patch14[_reg4]_dinov2`): tokens `cls`, registers,
 * patches. With registers, neither they nor `cls` have a position (timm's no_embed_class; loading
 * weights adds the published position of `cls` to the token).
 */
class DinoV2 : public Vit {
 public:
  /** options.cls must be set. */
  explicit DinoV2(const VitOptions& options);

  /**
   * Features after the final norm. images: float [B, 3, grid·patch, grid·patch], normalised by
   * ImageNet's mean and deviation.
   */
  Features forward(const at::Tensor& images) const;

  /**
   * Features before block 0 and after each block of `after` (ascending), without the final norm.
   */
  std::vector<Features> intermediate(const at::Tensor& images,
                                     const std::vector<int64_t>& after) const;

 private:
  at::Tensor tokens(const at::Tensor& images) const;
  Features split(const at::Tensor& x) const;

  std::shared_ptr<PatchEmbed> patch_embed_;
};

void initialize(DinoV2& network, uint64_t seed);

}  // namespace mactok
