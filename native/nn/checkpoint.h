#pragma once

#include "runtime/torch.h"

#include <functional>
#include <vector>

namespace mactok {

/**
 * f(x) that keeps only x for the backward pass, which runs f again under the same autocast
 * (gradient checkpointing).
 *
 * parameters: every leaf that f uses and that needs a gradient. Gradients are returned by this
 * function's node, not accumulated by a nested backward pass, so `torch::autograd::grad` works, and
 * so does a second call with the same parameters. f must be deterministic and must not use other
 * tensors that need gradients.
 */
at::Tensor checkpoint(std::function<at::Tensor(const at::Tensor&)> f, const at::Tensor& x,
                      const std::vector<at::Tensor>& parameters);

/**
 * Whether this thread runs a checkpoint's f for the first time, without gradients. It must compute
 * what the second run with gradients computes.
 */
bool in_checkpoint();

}  // namespace mactok
