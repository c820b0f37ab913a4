#pragma once

#include "runtime/torch.h"

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace mactok {

/** A convolution without bias, its batch norm by running statistics (eps 1e-3) and ReLU: `conv.weight`, `bn.*`. */
class ConvNorm : public torch::nn::Module {
 public:
  struct Options {
    std::string name;
    int64_t outputs;
    std::array<int64_t, 2> kernel{1, 1};
    std::array<int64_t, 2> padding{0, 0};
    int64_t stride = 1;
  };
  ConvNorm(int64_t inputs, const Options& options);

  at::Tensor forward(const at::Tensor& x) const;

 private:
  Options options_;
  at::Tensor weight_;                          // [outputs, inputs, kh, kw]
  at::Tensor gain_, shift_, mean_, variance_;  // of the norm, [outputs]
};

/** Branches over one input, their results side by side. */
class Mixed : public torch::nn::Module {
 public:
  enum class Pool { none, average, maximum, halve };
  struct Branch {
    Pool pool;
    std::vector<ConvNorm::Options> chain;
    std::vector<ConvNorm::Options> fork;  // convolutions of the chain's result, side by side
  };
  Mixed(int64_t inputs, const std::vector<Branch>& branches);

  /** first: set to what the first branch gives, unless null. */
  at::Tensor forward(const at::Tensor& x, at::Tensor* first = nullptr) const;
  int64_t outputs() const { return outputs_; }

 private:
  struct Layers {
    Pool pool;
    std::vector<std::shared_ptr<ConvNorm>> chain, fork;
  };
  std::vector<Layers> branches_;
  int64_t outputs_ = 0;
};

/** How an image becomes 299 × 299: pytorch-fid's bilinear resize, or that of TensorFlow 1 in ADM's evaluator. Neither has antialias. */
enum class InceptionInput { pytorch, tensorflow };

/**
 * The Inception-v3 of FID (TensorFlow's graph of 2015-12-05), with pytorch-fid's parameter names and its deviations from
 * torchvision's: average pooling does not count padding, the last block pools by maximum. Frozen.
 */
class Inception : public torch::nn::Module {
 public:
  struct Output {
    at::Tensor pool;  // float32 [B, 2048]
    at::Tensor
        spatial;  // float32 [B, 17·17·7]: ADM's `mixed_6/conv`, its first 7 channels, in [h, w, c] order
    at::Tensor
        probabilities;  // float32 [B, classes], of the logits without bias as in ADM; undefined without `fc`
  };

  /** classes: rows of `fc.weight`; 0: no classifier. */
  explicit Inception(int64_t classes);

  /** images: float32 [B, 3, H, W] in [-1, 1]. */
  Output forward(const at::Tensor& images, InceptionInput input) const;

 private:
  std::vector<std::shared_ptr<ConvNorm>> stem_;
  std::vector<std::shared_ptr<Mixed>> mixed_;
  at::Tensor classifier_;
};

}  // namespace mactok
