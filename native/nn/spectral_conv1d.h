#pragma once

#include "nn/group.h"
#include "runtime/torch.h"

namespace mactok {

/**
 * A 1-D convolution with circular padding, whose weight is divided by its largest singular value,
 * estimated by power iteration. Names, buffers and numbers are those of
 * `torch.nn.utils.spectral_norm`: `weight_orig` [O, I, k], `bias` [O], buffers `weight_u` [O] and
 * `weight_v` [I·k]. Each call in training mode makes one iteration.
 */
class SpectralConv1d : public torch::nn::Module {
 public:
  /** kernel must be odd. */
  SpectralConv1d(int64_t inputs, int64_t outputs, int64_t kernel);

  /** [B, N, G·I] -> [B, N, G·O]. */
  static at::Tensor forward(const Group<SpectralConv1d>& convolutions, const at::Tensor& x);

  at::Tensor weight_orig, bias, weight_u, weight_v;
};

}  // namespace mactok
