#pragma once

#include "runtime/torch.h"

#include <vector>

/**
 * One pass over many tensors, where LibTorch starts one CPU operation per tensor: small networks
 * have hundreds of small tensors.
 */
namespace mactok::kernels {

/**
 * The norm of all elements of float32 tensors, a float32 scalar on their device. Does not depend on
 * the number of threads.
 */
at::Tensor norm(const std::vector<at::Tensor>& tensors);

/**
 * averages[i] += weight·(values[i] − averages[i]) for float32 tensors; weight: a float32 scalar on
 * their device.
 */
void lerp(const std::vector<at::Tensor>& averages, const std::vector<at::Tensor>& values,
          const at::Tensor& weight);

}  // namespace mactok::kernels
