#pragma once

#include "runtime/torch.h"

#include <vector>

/**
 * Backward passes, outside autocast: a gradient takes the dtypes that its forward pass chose, as in
 * PyTorch. Inside, autocast would round the gradients of float32 layers, too.
 */
namespace mactok {

/** Adds the gradients of a scalar loss to its leaves' `.grad`. */
void run_backward(const at::Tensor& loss);

struct DifferentiateOptions {
  /** For another backward pass through the same graph. */
  bool retain_graph = false;
  /** Returns undefined tensors for inputs that the output does not depend on. */
  bool allow_unused = false;
};

/**
 * The gradients of `output` with respect to `inputs`; upstream: the gradient of `output`, undefined
 * for a scalar.
 */
std::vector<at::Tensor> differentiate(const at::Tensor& output,
                                      const std::vector<at::Tensor>& inputs,
                                      const at::Tensor& upstream = {},
                                      DifferentiateOptions options = {});

}  // namespace mactok
