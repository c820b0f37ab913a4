#include "models/dinov2.h"

namespace mactok {

DinoV2::DinoV2(const VitOptions& options)
    : Vit(options, /*learned_positions=*/true),
      patch_embed_(register_module("patch_embed",
                                   std::make_shared<PatchEmbed>(options.patch, options.width))) {
  TORCH_CHECK(options.cls, "DINOv2 has a cls token");
}

Features DinoV2::forward(const at::Tensor& images) const {
  const auto patches = add_positions(patch_embed_->forward(images));         // [B, N, D]
  const auto tokens = at::cat({prefix_tokens(images.size(0)), patches}, 1);  // [B, P + N, D]
  const auto x = transform(tokens, prefix(), tokens.size(1));
  return {.cls = x.select(1, 0), .patches = x.slice(1, prefix())};
}

void initialize(DinoV2& network, uint64_t seed) { initialize(network, "", seed); }

}  // namespace mactok
