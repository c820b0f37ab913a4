#include "nn/patch_embed.h"

#include <memory>

#include "nn/linear.h"

namespace mactok {

PatchEmbed::PatchEmbed(int64_t patch, int64_t width, int64_t channels) {
  const auto proj = register_module("proj", std::make_shared<torch::nn::Module>());
  weight = proj->register_parameter("weight", at::empty({width, channels, patch, patch}));
  bias = proj->register_parameter("bias", at::empty({width}));
}

at::Tensor PatchEmbed::forward(const at::Tensor& images) const {
  const int64_t patch = weight.size(2);
  const auto patches = images.unflatten(3, {-1, patch})
                           .unflatten(2, {-1, patch})    // [B, C, h, p, w, p]
                           .permute({0, 2, 4, 1, 3, 5})  // [B, h, w, C, p, p]
                           .flatten(3)
                           .flatten(1, 2);          // [B, h·w, C·p·p]
  return linear(patches, weight.flatten(1), bias);  // [B, h·w, D]
}

at::Tensor unpatchify(const at::Tensor& patches, int64_t grid, int64_t patch) {
  return patches.unflatten(2, {patch, patch, -1})
      .unflatten(1, {grid, grid})   // [B, g, g, p, p, C]
      .permute({0, 5, 1, 3, 2, 4})  // [B, C, g, p, g, p]
      .reshape({patches.size(0), -1, grid * patch, grid * patch});
}

}  // namespace mactok
