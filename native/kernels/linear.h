#pragma once

#include "runtime/torch.h"

#include <optional>

namespace mactok::kernels {

/**
 * x·weightᵀ + bias in bfloat16, with gradients: [..., I], float32 [O, I] and [O] -> [..., O]. cast: the weight in bfloat16, if that is at
 * hand. oneDNN takes twice as long for the gradient of a weight as for the other products, because both its operands lie the wrong
 * way; here one is transposed beforehand.
 */
at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                  const std::optional<at::Tensor>& cast = std::nullopt);

}  // namespace mactok::kernels
