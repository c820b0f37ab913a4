#include "nn/timestep_embedder.h"

#include <cmath>

namespace mactok {
namespace {

constexpr int64_t kFrequencies = 128;
constexpr double kLongestPeriod = 10000;

}  // namespace

TimestepEmbedder::TimestepEmbedder(int64_t width) {
  const auto mlp = register_module("mlp", std::make_shared<torch::nn::Module>());
  first_ = mlp->register_module("0", std::make_shared<Linear>(2 * kFrequencies, width));
  second_ = mlp->register_module("2", std::make_shared<Linear>(width, width));
}

at::Tensor TimestepEmbedder::forward(const at::Tensor& times) const {
  const auto options = times.options().dtype(at::kFloat);
  const auto exponents = at::arange(kFrequencies, options) / static_cast<double>(kFrequencies);
  const auto frequencies = at::exp(-std::log(kLongestPeriod) * exponents);  // [128]
  const auto angles = times.to(at::kFloat).unsqueeze(1) * frequencies;      // [B, 128]
  const auto waves = at::cat({angles.cos(), angles.sin()}, 1);              // [B, 256]
  return second_->forward(at::silu(first_->forward(waves)));
}

}  // namespace mactok
