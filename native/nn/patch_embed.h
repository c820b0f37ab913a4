#pragma once

#include "runtime/torch.h"

namespace mactok {

/**
 * A p×p convolution of stride p, `proj.weight` [width, channels, p, p] and `proj.bias` [width],
 * computed as one matrix product.
 */
class PatchEmbed : public torch::nn::Module {
 public:
  PatchEmbed(int64_t patch, int64_t width, int64_t channels = 3);

  /** [B, channels, h·p, w·p] -> [B, h·w, width], patches row by row. */
  at::Tensor forward(const at::Tensor& images) const;

  at::Tensor weight, bias;
};

/**
 * Patches of pixels as images: [B, g·g, p·p·C] (row, column, channel inside a patch) ->
 * [B, C, g·p, g·p].
 */
at::Tensor unpatchify(const at::Tensor& patches, int64_t grid, int64_t patch);

}  // namespace mactok
