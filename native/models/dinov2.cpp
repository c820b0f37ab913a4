#include "models/dinov2.h"

namespace mactok {

DinoV2::DinoV2(const VitOptions& options)
    : Vit(options, /*learned_positions=*/true),
      patch_embed_(register_module("patch_embed",
                                   std::make_shared<PatchEmbed>(options.patch, options.width))) {
  TORCH_CHECK(options.cls, "DINOv2: expected a cls token");
}

at::Tensor DinoV2::tokens(const at::Tensor& images) const {
  const auto patches = add_positions(patch_embed_->forward(images));  // [B, N, D]
  return at::cat({prefix_tokens(images.size(0)), patches}, 1);        // [B, P + N, D]
}

Features DinoV2::split(const at::Tensor& x) const {
  return {.cls = x.select(1, 0), .patches = x.slice(1, prefix())};
}

Features DinoV2::forward(const at::Tensor& images) const {
  const auto x = tokens(images);
  return split(transform(x, prefix(), x.size(1)));
}

std::vector<Features> DinoV2::intermediate(const at::Tensor& images,
                                           const std::vector<int64_t>& after) const {
  std::vector<Features> result;
  for (const auto& x : hidden_states(tokens(images), prefix(), after)) result.push_back(split(x));
  return result;
}

void initialize(DinoV2& network, uint64_t seed) { initialize(network, "", seed); }

}  // namespace mactok
