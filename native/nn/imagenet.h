#pragma once

#include "runtime/torch.h"

namespace mactok {

/** From [-1, 1] to ImageNet's normalisation, (x/2 + 1/2 − mean) / deviation: what DINO and DINOv2 take. [B, 3, H, W]. */
at::Tensor imagenet_normalize(const at::Tensor& images);

}  // namespace mactok
