#pragma once

#include "runtime/torch.h"

namespace mactok::kernels {

/**
 * x + gamma ⊙ branch: float32 x [..., D] and gamma [D] or [B, …, D] of x's B images, branch [...,
 * D] bfloat16 or float32 -> float32.
 */
at::Tensor residual(const at::Tensor& x, const at::Tensor& branch, const at::Tensor& gamma);

}  // namespace mactok::kernels
