#pragma once

#include "runtime/torch.h"

namespace mactok::kernels {

/**
 * LPIPS's distance at each position: Σ_c weight·(x/(|x| + eps) − y/(|y| + eps))² over the channels of bfloat16 or float32 x and y
 * [B, C, h, w] of one dtype, which lie channels last; float32 [B, h·w]. weight: float32, C numbers. Gradients reach x alone; nothing but x and y
 * is kept for them.
 */
at::Tensor unit_distance(const at::Tensor& x, const at::Tensor& y, const at::Tensor& weight,
                         double eps);

}  // namespace mactok::kernels
