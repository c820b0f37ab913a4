#pragma once

#include "runtime/torch.h"

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace mactok {

/**
 * A convolution without bias, batch norm by running statistics (eps 1e-3) and ReLU: `conv.weight`,
 * `bn.*`.
 */
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
  /** [outputs, inputs, kh, kw]. */
  at::Tensor weight_;
  /** Parameters and statistics of the norm, [outputs]. */
  at::Tensor gain_, shift_, mean_, variance_;
};

/** Branches over one input; concatenates their outputs. */
class Mixed : public torch::nn::Module {
 public:
  enum class Pool { none, average, maximum, halve };
  struct Branch {
    Pool pool;
    std::vector<ConvNorm::Options> chain;
    /** Parallel convolutions of the chain's output, which are concatenated. */
    std::vector<ConvNorm::Options> fork;
  };
  Mixed(int64_t inputs, const std::vector<Branch>& branches);

  /** first: unless null, receives the first branch's output. */
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

/**
 * How images are resized to 299 × 299: bilinearly as pytorch-fid, or as TensorFlow 1 in ADM's
 * evaluator. Neither antialiases.
 */
enum class InceptionInput { pytorch, tensorflow };

/**
 * The Inception-v3 of FID (TensorFlow's graph of 2015-12-05), with pytorch-fid's parameter names
 * and deviations from torchvision's: average pooling does not count padding, and the last block
 * pools by maximum. Frozen.
 */
class Inception : public torch::nn::Module {
 public:
  struct Output {
    /** float32 [B, 2048]. */
    at::Tensor pool;
    /** The first 7 channels of ADM's `mixed_6/conv` in [h, w, c] order, float32 [B, 17·17·7]. */
    at::Tensor spatial;
    /** Softmax of logits without bias, as in ADM, float32 [B, classes]; undefined without `fc`. */
    at::Tensor probabilities;
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
