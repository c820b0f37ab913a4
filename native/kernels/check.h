#pragma once

#include "runtime/torch.h"

#include <cstdint>

namespace mactok::kernels {

/** Whether no element is NaN or infinite. */
bool is_finite(const at::Tensor& tensor);

struct Checked {
  bool finite;
  uint32_t crc32c;
};

/** `is_finite` of a contiguous CPU tensor, and the CRC-32C of its bytes, which are read once. */
Checked check(const at::Tensor& tensor);

}  // namespace mactok::kernels
