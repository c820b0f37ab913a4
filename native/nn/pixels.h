#pragma once

#include "runtime/torch.h"

namespace mactok {

/**
 * x [..., C] as one row of pixels, [1, C, 1, rows] with channels last, which LibTorch's image
 * operations read fastest. Not a copy where x is contiguous.
 */
inline at::Tensor to_pixels(const at::Tensor& x) {
  return x.contiguous().view({1, 1, -1, x.size(-1)}).permute({0, 3, 1, 2});
}

/** The inverse: [1, C, 1, rows] -> [..., C], with the leading sizes of `like`. */
inline at::Tensor from_pixels(const at::Tensor& pixels, const at::Tensor& like) {
  auto shape = like.sizes().vec();
  shape.back() = pixels.size(1);
  return pixels.permute({0, 2, 3, 1}).reshape(shape);
}

}  // namespace mactok
