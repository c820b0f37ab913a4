#pragma once

#include "runtime/torch.h"

#include <initializer_list>

namespace mactok {

/** A few values as a vector, made on the device: a copy from the host would make a CUDA device wait, and could not be recorded. */
at::Tensor constant(std::initializer_list<double> values, const at::TensorOptions& options);

}  // namespace mactok
