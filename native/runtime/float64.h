#pragma once

#include "runtime/torch.h"

namespace mactok {

/** Whether the device computes in float64, which Apple's GPUs do not. */
inline bool has_float64(at::Device device) { return !device.is_mps(); }

/** The type for sums and scalars that stay on the device: float64 where it has that. */
inline at::ScalarType widest_float(at::Device device) {
  return has_float64(device) ? at::kDouble : at::kFloat;
}

/** The tensor as `widest_float` of its device. */
inline at::Tensor to_widest_float(const at::Tensor& tensor) {
  return tensor.to(widest_float(tensor.device()));
}

/** The tensor in float64: on its device, or on the host where the device has none. */
inline at::Tensor to_float64(const at::Tensor& tensor) {
  return (has_float64(tensor.device()) ? tensor : tensor.cpu()).to(at::kDouble);
}

}  // namespace mactok
