#pragma once

#include "runtime/torch.h"

#include <cstdint>

#include "models/dinov2.h"
#include "nn/imagenet.h"

namespace mactok {

/** A frozen DINOv2 that takes the tokenizer's images. Its passes record no gradients. */
class Teacher : public DinoV2 {
 public:
  explicit Teacher(const VitOptions& options);

  /**
   * images: float [B, 3, H, W] in [-1, 1]. They are normalised by ImageNet's mean and deviation,
   * then resized to grid·patch pixels per side (bicubic without antialias), as REPA does.
   */
  Features features(const at::Tensor& images) const;

 private:
  ImagenetNormalization normalize_;
};

/**
 * Cosine similarity of `cls` and each patch, float32 [B, grid²], row by row. Where the teacher's
 * grid differs, the similarities are resized bilinearly (without antialias, pixel centres at .5).
 */
at::Tensor semantic_scores(const Features& features, int64_t grid);

}  // namespace mactok
