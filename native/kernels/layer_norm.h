#pragma once

#include "runtime/torch.h"

namespace mactok::kernels {

/**
 * Layer norm of float32 x [..., D] over D, in float32, rounded in the same pass to what the next
 * matrix product takes (`product_type`). weight, bias: float32 [D], or [B, …, D] of x's B images
 * (adaLN).
 */
at::Tensor layer_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                      double eps);

}  // namespace mactok::kernels
