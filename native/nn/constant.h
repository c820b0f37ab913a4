#pragma once

#include "runtime/torch.h"

#include <initializer_list>

namespace mactok {

/**
 * A vector of a few values, created on the device: a copy from the host would synchronise a CUDA
 * device and could not be recorded in a graph.
 */
at::Tensor constant(std::initializer_list<double> values, const at::TensorOptions& options);

}  // namespace mactok
