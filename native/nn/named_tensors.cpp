#include "nn/named_tensors.h"

namespace mactok {

NamedTensors named_parameters(const torch::nn::Module& module) {
  NamedTensors result;
  for (const auto& item : module.named_parameters()) result.emplace_back(item.key(), item.value());
  return result;
}

NamedTensors named_tensors(const torch::nn::Module& module) {
  auto result = named_parameters(module);
  for (const auto& item : module.named_buffers()) result.emplace_back(item.key(), item.value());
  return result;
}

std::vector<at::Tensor> list_tensors(const NamedTensors& tensors) {
  std::vector<at::Tensor> result;
  for (const auto& [name, tensor] : tensors) result.push_back(tensor);
  return result;
}

std::vector<at::Tensor> detach_all(const NamedTensors& tensors) {
  std::vector<at::Tensor> result;
  for (const auto& [name, tensor] : tensors) result.push_back(tensor.detach());
  return result;
}

}  // namespace mactok
