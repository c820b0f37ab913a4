#pragma once

#include "runtime/torch.h"

namespace mactok::kernels {

/**
 * GELU of bfloat16 or float32 x, exact or by its tanh approximation. Overwrites x with the
 * derivative: nothing else may use x.
 */
at::Tensor gelu(const at::Tensor& x, bool tanh);

}  // namespace mactok::kernels
