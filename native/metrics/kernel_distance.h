#pragma once

#include "runtime/torch.h"

namespace mactok {

/**
 * The squared maximum mean discrepancy of rows [M, D] and [N, D], float32, with the kernel
 * (x·y / D + 1)³: the unbiased estimate of KID (Bińkowski et al. 2018), which may be below zero.
 * The kernel's powers and sums are float64.
 */
double kernel_distance(const at::Tensor& a, const at::Tensor& b);

}  // namespace mactok
