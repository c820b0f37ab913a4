#include "models/diffusion_transformer.h"

#include <cmath>
#include <string>
#include <string_view>

#include "nn/checkpoint.h"
#include "nn/fixed_positions.h"
#include "nn/initialize.h"

namespace mactok {

DiffusionTransformer::DiffusionTransformer(const DiffusionTransformerOptions& options)
    : options_(options), checkpointing_(options.checkpointing) {
  const auto& shape = options.latent_shape;
  const int64_t width = options.width;
  TORCH_CHECK(shape.size() == 2 || shape.size() == 3,
              "latentShape: expected [L, Z] or [C, H, W] but received ", shape.size(), " sizes");
  if (on_grid()) {
    TORCH_CHECK(shape[1] == shape[2] && shape[1] % options.patch == 0,
                "latentShape: expected a square grid divisible by patches of ", options.patch,
                " but received ", shape[1], " by ", shape[2]);
    patch_embedder_ =
        register_module("x_embedder", std::make_shared<PatchEmbed>(options.patch, width, shape[0]));
  } else {
    TORCH_CHECK(options.patch == 1, "patchSize: expected 1 for tokens but received ",
                options.patch);
    token_embedder_ = register_module("x_embedder", std::make_shared<Linear>(shape[1], width));
  }
  t_embedder_ = register_module("t_embedder", std::make_shared<TimestepEmbedder>(width));
  class_table_ = register_module("y_embedder", std::make_shared<torch::nn::Module>())
                     ->register_module("embedding_table", std::make_shared<torch::nn::Module>())
                     ->register_parameter("weight", at::empty({options.classes + 1, width}));
  pos_embed_ = register_parameter("pos_embed", at::empty({1, tokens(), width}), false);
}

at::Tensor DiffusionTransformer::sincos() const {
  return on_grid() ? positions::sincos_2d(grid(), options_.width)
                   : positions::sincos_1d(tokens(), options_.width);
}

int64_t DiffusionTransformer::outputs() const {
  const int64_t channels = on_grid() ? options_.latent_shape[0] : options_.latent_shape[1];
  return channels * options_.patch * options_.patch * (options_.learn_sigma ? 2 : 1);
}

at::Tensor DiffusionTransformer::embed(const at::Tensor& latents) const {
  const auto x = on_grid() ? patch_embedder_->forward(latents) : token_embedder_->forward(latents);
  return x + pos_embed_;  // [B, N, D]
}

at::Tensor DiffusionTransformer::condition(const at::Tensor& times,
                                           const at::Tensor& labels) const {
  return t_embedder_->forward(times) + at::embedding(class_table_, labels);
}

at::Tensor DiffusionTransformer::to_latents(const at::Tensor& x) const {
  const auto output = x.to(at::kFloat);  // [B, N, outputs]
  const auto latents = on_grid() ? unpatchify(output, grid(), options_.patch) : output;
  return options_.learn_sigma ? latents.chunk(2, on_grid() ? 1 : -1)[0] : latents;
}

at::Tensor DiffusionTransformer::checkpointed(const Run& run, const at::Tensor& x,
                                              const at::Tensor& condition,
                                              const torch::nn::Module& block) const {
  if (!checkpointing_ || !at::GradMode::is_enabled()) return run(x);
  auto inputs = block.parameters();
  inputs.push_back(condition);
  return checkpoint(run, x, inputs);
}

void initialize(DiffusionTransformer& model, uint64_t seed) {
  for (const auto& item : model.named_parameters()) {
    const std::string& name = item.key();
    const std::string_view key = name;
    const at::Tensor& parameter = item.value();
    const auto within = [key](std::string_view part) { return key.find(part) != key.npos; };
    if (key == "pos_embed") {
      init::assign(parameter, model.sincos());
    } else if (within("adaLN_modulation") || key.starts_with("final_layer.linear.") ||
               key.ends_with(".bias")) {
      init::constant(parameter, 0);
    } else if (key.starts_with("t_embedder.") || key.starts_with("y_embedder.")) {
      init::normal(parameter, seed, name, .02);
    } else if (parameter.dim() == 1) {
      // A norm's weight.
      init::constant(parameter, 1);
    } else {
      const auto outputs = static_cast<double>(parameter.size(0));
      const auto inputs = static_cast<double>(parameter.numel()) / outputs;
      init::uniform(parameter, seed, name, std::sqrt(6 / (inputs + outputs)));
    }
  }
}

}  // namespace mactok
