#pragma once

#include "runtime/torch.h"

#include <string>
#include <utility>
#include <vector>

namespace mactok {

/** Tensors by name, in the order of a network's registration. */
using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

/** A network's parameters; the tensors are its own, not copies. */
NamedTensors named_parameters(const torch::nn::Module& module);

/** A network's parameters, then its buffers; the tensors are its own, not copies. */
NamedTensors named_tensors(const torch::nn::Module& module);

/** The tensors without names. */
std::vector<at::Tensor> list_tensors(const NamedTensors& tensors);

/** The tensors without names and gradients, on the same storage. */
std::vector<at::Tensor> detach_all(const NamedTensors& tensors);

}  // namespace mactok
