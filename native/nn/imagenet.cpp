#include "nn/imagenet.h"

namespace mactok {

at::Tensor ImagenetNormalization::operator()(const at::Tensor& images) const {
  return at::addcmul(shift_.like(images), images, scale_.like(images));
}

}  // namespace mactok
