#pragma once

#include "runtime/torch.h"

#include "nn/constant.h"

namespace mactok {

/**
 * Images [B, 3, H, W] in [-1, 1] normalised by ImageNet's statistics, (x/2 + 1/2 − mean) /
 * deviation, as DINO and DINOv2 take them.
 */
class ImagenetNormalization {
 public:
  at::Tensor operator()(const at::Tensor& images) const;

 private:
  // As one factor and one summand, for a fused operation over the images.
  ChannelConstant scale_{{.5 / .229, .5 / .224, .5 / .225}};
  ChannelConstant shift_{{(.5 - .485) / .229, (.5 - .456) / .224, (.5 - .406) / .225}};
};

}  // namespace mactok
