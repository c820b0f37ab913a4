#pragma once

#include "runtime/torch.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace mactok {

/** A convolution followed by ReLU. Weights lie channels last, as the convolution wants them. */
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
};

/**
 * LPIPS v0.1 (Zhang et al. 2018), the learned distance of images, with the parameter names of the `lpips` package:
 * `net.slice1.0.weight`, …, `lin4.model.1.weight`. Frozen.
 */
class Lpips : public torch::nn::Module {
 public:
  /** network: "vgg" (VGG-16) or "alex" (AlexNet). */
  explicit Lpips(const std::string& network);

  /** The distance of each pair of images, float32 [B]; x, y: [B, 3, H, W] in [-1, 1]. Gradients reach x alone. */
  at::Tensor forward(const at::Tensor& x, const at::Tensor& y) const;

 private:
  struct Slice {
    int64_t pool;  // side of the max pooling (stride 2) before it; 0: none
    std::vector<std::shared_ptr<ConvRelu>> layers;
    at::Tensor weight;  // of its channels in the distance, [1, C, 1, 1]
  };

  std::vector<at::Tensor> features(const at::Tensor& images) const;

  std::vector<Slice> slices_;
};

}  // namespace mactok
