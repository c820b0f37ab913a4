#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <memory>

#include "models/dinov2.h"

namespace mactok {

/** A frozen DINOv2 that sees pictures as the tokenizer does. Its passes record no gradients. */
class Teacher {
 public:
  /** Freezes the network. input_size: the side in pixels at which it works, its grid times its patch. */
  Teacher(std::shared_ptr<DinoV2> network, int64_t input_size);

  /**
   * images: float [B, 3, H, W] in [-1, 1]. They are normalised by ImageNet's mean and deviation, then resized to input_size (bicubic
   * without antialias), as REPA does.
   */
  Features features(const at::Tensor& images) const;

  const std::shared_ptr<DinoV2>& network() const { return network_; }

 private:
  std::shared_ptr<DinoV2> network_;
  int64_t input_size_;
};

/**
 * Cosine similarity of `cls` with each patch, float32 [B, grid²], row by row; where the teacher's grid differs, the similarities are
 * resized bilinearly (without antialias, pixel centres at .5).
 */
at::Tensor semantic_scores(const Features& features, int64_t grid);

}  // namespace mactok
