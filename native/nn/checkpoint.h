#pragma once

#include "runtime/torch.h"

#include <functional>
#include <vector>

namespace mactok {

/**
 * f(x), of which only x is kept for the backward pass: there f runs again, under the same autocast, and its gradients are taken.
 *
 * parameters: every leaf that f uses and whose gradient is wanted. Their gradients leave through this function (not as a side effect
 * of a nested backward pass), so `torch::autograd::grad` works, and so does a second call of f with the same parameters.
 * f must give the same result twice and must not depend on other tensors that need gradients.
 */
at::Tensor checkpoint(std::function<at::Tensor(const at::Tensor&)> f, const at::Tensor& x,
                      const std::vector<at::Tensor>& parameters);

/** Whether a checkpoint's f runs without gradients on this thread: what runs again with them must give the same result here. */
bool in_checkpoint();

}  // namespace mactok
