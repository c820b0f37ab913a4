#include "train/training_step.h"

namespace mactok {

NamedTensors TrainedNetworks::select_trained(const torch::nn::Module& network) const {
  auto parameters = named_parameters(network);
  std::erase_if(parameters, [this](const auto& item) { return !is_trained(item.first); });
  return parameters;
}

NamedTensors TrainedNetworks::all_trained() const {
  auto result = select_trained(*model);
  result.insert(result.end(), others.begin(), others.end());
  return result;
}

std::vector<at::Tensor> TrainedNetworks::all_written() const {
  auto result = model->parameters();
  for (const auto& more : {ema->parameters(), detach_all(others), written}) {
    result.insert(result.end(), more.begin(), more.end());
  }
  return result;
}

}  // namespace mactok
