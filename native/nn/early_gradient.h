#pragma once

#include "runtime/torch.h"

#include <functional>

namespace mactok {

/**
 * f(x), a scalar, whose gradient with respect to x is taken at once, and kept in the place of f's graph. For a loss by a frozen
 * network: its activations are freed before the next loss is computed, and a second backward pass, as the adaptive weight asks for,
 * costs a multiplication. f must depend on no other tensor that needs gradients.
 */
at::Tensor early_gradient(const std::function<at::Tensor(const at::Tensor&)>& f,
                          const at::Tensor& x);

}  // namespace mactok
