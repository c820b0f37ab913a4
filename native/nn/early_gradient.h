#pragma once

#include "runtime/torch.h"

#include <functional>

namespace mactok {

/**
 * f(x), a scalar, with its gradient with respect to x computed immediately and kept instead of f's
 * graph. For losses by frozen networks: it frees their activations before the next loss is
 * computed, and a second backward pass, as the adaptive weight needs, costs one multiplication. f
 * must not depend on other tensors that need gradients.
 */
at::Tensor early_gradient(const std::function<at::Tensor(const at::Tensor&)>& f,
                          const at::Tensor& x);

}  // namespace mactok
