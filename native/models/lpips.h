#pragma once

#include "runtime/torch.h"

#include <cstdint>
#include <memory>
#include <vector>

#include "nn/constant.h"
#include "runtime/kept_cast.h"

namespace mactok {

/** A convolution followed by ReLU; weights are stored channels last, which convolutions prefer. */
class ConvRelu : public torch::nn::Module {
 public:
  struct Options {
    int64_t inputs, outputs, kernel, stride, padding;
  };
  explicit ConvRelu(const Options& options);

  at::Tensor forward(const at::Tensor& x) const;

 private:
  Options options_;
  at::Tensor weight_, bias_;
  mutable std::shared_ptr<KeptCast> weight_cast_, bias_cast_;
};

/** The network whose features LPIPS compares: VGG-16 or AlexNet. */
enum class LpipsNetwork { vgg, alex };

/**
 * LPIPS v0.1 (Zhang et al. 2018), a learned distance between images, with the parameter names of
 * the `lpips` package: `net.slice1.0.weight`, …, `lin4.model.1.weight`. Frozen.
 */
class Lpips : public torch::nn::Module {
 public:
  explicit Lpips(LpipsNetwork network);

  /**
   * The distance of each pair of images, float32 [B]; x, y: [B, 3, H, W] in [-1, 1]. Gradients
   * reach x only.
   */
  at::Tensor forward(const at::Tensor& x, const at::Tensor& y) const;

 private:
  struct Slice {
    /** Side of the max pooling (stride 2) before it; 0: none. */
    int64_t pool;
    std::vector<std::shared_ptr<ConvRelu>> layers;
    /** Weight of each channel in the distance, [1, C, 1, 1]. */
    at::Tensor weight;
  };

  std::vector<at::Tensor> features(const at::Tensor& images) const;

  /** The package's input normalisation, which differs slightly from ImageNet's. */
  ChannelConstant shift_{{-.030, -.088, -.188}}, deviation_{{.458, .448, .450}};
  std::vector<Slice> slices_;
};

}  // namespace mactok
