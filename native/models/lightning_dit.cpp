#include "models/lightning_dit.h"

#include <string>

#include "nn/fixed_positions.h"

namespace mactok {
namespace {

constexpr double kNormEps = 1e-6;
constexpr double kRopeTheta = 10000;

}  // namespace

SwiGlu::SwiGlu(int64_t width, int64_t hidden)
    : w12_(register_module("w12", std::make_shared<Linear>(width, 2 * hidden))),
      w3_(register_module("w3", std::make_shared<Linear>(hidden, width))) {}

at::Tensor SwiGlu::forward(const at::Tensor& x) const {
  const auto halves = w12_->forward(x).chunk(2, -1);
  return w3_->forward(at::silu(halves[0]) * halves[1]);
}

LightningDitBlock::LightningDitBlock(const LightningDitOptions& options) {
  const int64_t width = options.transformer.width;
  // Truncated, as the original's int(), here and for SwiGLU's two thirds.
  const auto mlp = static_cast<int64_t>(static_cast<double>(width) * options.transformer.mlp_ratio);
  norm1_ = register_module("norm1", std::make_shared<RmsNorm>(width, kNormEps));
  attn_ = register_module(
      "attn", std::make_shared<Attention>(width, options.transformer.heads, options.qk_norm));
  norm2_ = register_module("norm2", std::make_shared<RmsNorm>(width, kNormEps));
  mlp_ = register_module("mlp", std::make_shared<SwiGlu>(width, 2 * mlp / 3));
  modulation_ = register_module(
      "adaLN_modulation",
      std::make_shared<Modulation>(
          width, ModulationOptions{.branches = 2, .shift = options.shift, .gate = true}));
}

at::Tensor LightningDitBlock::forward(const at::Tensor& x, const at::Tensor& condition,
                                      const at::Tensor& rotation) const {
  const auto branches = modulation_->forward(condition);
  const auto &for_attention = branches[0], &for_mlp = branches[1];
  const auto attended =
      attn_->forward(modulate(norm1_->forward(x), for_attention), x.size(1), rotation);
  const auto y = gated(x, for_attention.gate, attended);
  return gated(y, for_mlp.gate, mlp_->forward(modulate(norm2_->forward(y), for_mlp)));
}

LightningDitFinalLayer::LightningDitFinalLayer(int64_t width, int64_t outputs)
    : norm_final_(register_module("norm_final", std::make_shared<RmsNorm>(width, kNormEps))),
      linear_(register_module("linear", std::make_shared<Linear>(width, outputs))),
      modulation_(register_module(
          "adaLN_modulation",
          std::make_shared<Modulation>(
              width, ModulationOptions{.branches = 1, .shift = true, .gate = false}))) {}

at::Tensor LightningDitFinalLayer::forward(const at::Tensor& x, const at::Tensor& condition) const {
  const auto modulation = modulation_->forward(condition)[0];
  return linear_->forward(modulate(norm_final_->forward(x), modulation));
}

LightningDit::LightningDit(const LightningDitOptions& options)
    : DiffusionTransformer(options.transformer) {
  const int64_t width = options.transformer.width;
  const int64_t head_width = width / options.transformer.heads;
  const auto blocks = register_module("blocks", std::make_shared<torch::nn::Module>());
  for (int64_t i = 0; i < options.transformer.depth; ++i) {
    blocks_.push_back(
        blocks->register_module(std::to_string(i), std::make_shared<LightningDitBlock>(options)));
  }
  final_layer_ =
      register_module("final_layer", std::make_shared<LightningDitFinalLayer>(width, outputs()));
  rotation_ = on_grid() ? positions::rotary_2d(grid(), head_width, kRopeTheta)
                        : positions::rotary_1d(tokens(), head_width, kRopeTheta);
}

at::Tensor LightningDit::forward(const at::Tensor& latents, const at::Tensor& times,
                                 const at::Tensor& labels) const {
  const auto c = condition(times, labels);
  rotation_ = rotation_.to(latents.device());
  const auto rotation = rotation_;
  auto x = embed(latents);
  for (const auto& block : blocks_) {
    x = checkpointed([=](const at::Tensor& x) { return block->forward(x, c, rotation); }, x, c,
                     *block);
  }
  return to_latents(final_layer_->forward(x, c));
}

}  // namespace mactok
