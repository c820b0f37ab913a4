#pragma once

#include "runtime/torch.h"

#include <optional>

namespace mactok::kernels {

/**
 * x·weightᵀ + bias in bfloat16, with gradients: [..., I], float32 [O, I] and [O] -> [..., O]. cast:
 * the weight in bfloat16, where there is a cached copy. oneDNN takes twice as long for a weight's
 * gradient as for the other products, because the layout of both operands is wrong for it; one is
 * transposed beforehand.
 */
at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                  const std::optional<at::Tensor>& cast = std::nullopt);

}  // namespace mactok::kernels
