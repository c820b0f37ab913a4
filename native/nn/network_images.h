#pragma once

#include "runtime/torch.h"

namespace mactok {

/**
 * Images as the networks take them, float32 [B, 3, H, W] in [-1, 1] on `device`, from uint8
 * [B, H, W, 3] or from float32 images of that form.
 */
at::Tensor to_network_images(const at::Tensor& images, at::Device device);

}  // namespace mactok
