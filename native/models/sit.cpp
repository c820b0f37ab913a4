#include "models/sit.h"

#include <string>

namespace mactok {

SitBlock::SitBlock(int64_t width, int64_t heads, int64_t mlp_hidden)
    : attn_(register_module("attn", std::make_shared<Attention>(width, heads))),
      mlp_(register_module("mlp", std::make_shared<MlpLayer>(width, mlp_hidden, Mlp::gelu_tanh))),
      modulation_(register_module(
          "adaLN_modulation",
          std::make_shared<Modulation>(
              width, ModulationOptions{.branches = 2, .shift = true, .gate = true}))) {}

at::Tensor SitBlock::forward(const at::Tensor& x, const at::Tensor& condition) const {
  const auto branches = modulation_->forward(condition);
  const auto &for_attention = branches[0], &for_mlp = branches[1];
  const auto attended = attn_->forward(modulated_norm(x, for_attention), x.size(1), {});
  const auto y = gated(x, for_attention.gate, attended);
  return gated(y, for_mlp.gate, mlp_->forward(modulated_norm(y, for_mlp)));
}

SitFinalLayer::SitFinalLayer(int64_t width, int64_t outputs)
    : linear_(register_module("linear", std::make_shared<Linear>(width, outputs))),
      modulation_(register_module(
          "adaLN_modulation",
          std::make_shared<Modulation>(
              width, ModulationOptions{.branches = 1, .shift = true, .gate = false}))) {}

at::Tensor SitFinalLayer::forward(const at::Tensor& x, const at::Tensor& condition) const {
  return linear_->forward(modulated_norm(x, modulation_->forward(condition)[0]));
}

Sit::Sit(const DiffusionTransformerOptions& options) : DiffusionTransformer(options) {
  const auto blocks = register_module("blocks", std::make_shared<torch::nn::Module>());
  // Truncated, as the original's int().
  const auto hidden = static_cast<int64_t>(static_cast<double>(options.width) * options.mlp_ratio);
  for (int64_t i = 0; i < options.depth; ++i) {
    blocks_.push_back(blocks->register_module(
        std::to_string(i), std::make_shared<SitBlock>(options.width, options.heads, hidden)));
  }
  final_layer_ =
      register_module("final_layer", std::make_shared<SitFinalLayer>(options.width, outputs()));
}

at::Tensor Sit::forward(const at::Tensor& latents, const at::Tensor& times,
                        const at::Tensor& labels) const {
  const auto c = condition(times, labels);
  auto x = embed(latents);
  for (const auto& block : blocks_) {
    x = checkpointed([=](const at::Tensor& x) { return block->forward(x, c); }, x, c, *block);
  }
  return to_latents(final_layer_->forward(x, c));
}

}  // namespace mactok
