#pragma once

#include "runtime/torch.h"

namespace mactok {

/**
 * Images [B, 3, H, W] in [-1, 1] normalised by ImageNet's statistics, (x/2 + 1/2 − mean) /
 * deviation, as DINO and DINOv2 take them.
 */
at::Tensor imagenet_normalize(const at::Tensor& images);

}  // namespace mactok
