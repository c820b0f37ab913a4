#pragma once

#include "runtime/torch.h"

namespace mactok::kernels {

/**
 * LPIPS's distance at each position: Σ_c weight·(x/(|x| + eps) − y/(|y| + eps))² over the channels
 * of bfloat16 or float32 x and y [B, C, h, w] of one dtype, in channels-last layout; float32 [B,
 * h·w]. weight: float32, C numbers. Only x receives a gradient; only x and y are saved for it.
 */
at::Tensor unit_distance(const at::Tensor& x, const at::Tensor& y, const at::Tensor& weight,
                         double eps);

}  // namespace mactok::kernels
