#include "nn/imagenet.h"

#include "nn/constant.h"

namespace mactok {

at::Tensor imagenet_normalize(const at::Tensor& images) {
  const auto options = images.options();
  const auto mean = constant({.485, .456, .406}, options.dtype(at::kDouble)).view({3, 1, 1});
  const auto deviation = constant({.229, .224, .225}, options.dtype(at::kDouble)).view({3, 1, 1});
  // One fused multiply and add over the images.
  const auto scale = (.5 / deviation).to(options);
  const auto shift = ((.5 - mean) / deviation).to(options);
  return at::addcmul(shift, images, scale);
}

}  // namespace mactok
