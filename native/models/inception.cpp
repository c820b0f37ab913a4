#include "models/inception.h"

#include <utility>

namespace mactok {
namespace {

constexpr int64_t kSide = 299;
constexpr double kEps = 1e-3;
/**
 * The block whose first branch sFID uses (TensorFlow's `mixed_6`), and how many of its channels.
 */
constexpr size_t kSpatialBlock = 6;
constexpr int64_t kSpatialChannels = 7;

using Conv = ConvNorm::Options;
using Branch = Mixed::Branch;
using Pool = Mixed::Pool;

Conv conv(std::string name, int64_t outputs) { return {std::move(name), outputs}; }
/** A square kernel that keeps the size. */
Conv square(std::string name, int64_t outputs, int64_t side) {
  return {std::move(name), outputs, {side, side}, {side / 2, side / 2}};
}
Conv halving(std::string name, int64_t outputs) {
  return {std::move(name), outputs, {3, 3}, {0, 0}, 2};
}
Conv wide(std::string name, int64_t outputs, int64_t length) {
  return {std::move(name), outputs, {1, length}, {0, length / 2}};
}
Conv tall(std::string name, int64_t outputs, int64_t length) {
  return {std::move(name), outputs, {length, 1}, {length / 2, 0}};
}

std::vector<Branch> mixed_a(int64_t pooled) {
  return {{Pool::none, {conv("branch1x1", 64)}, {}},
          {Pool::none, {conv("branch5x5_1", 48), square("branch5x5_2", 64, 5)}, {}},
          {Pool::none,
           {conv("branch3x3dbl_1", 64), square("branch3x3dbl_2", 96, 3),
            square("branch3x3dbl_3", 96, 3)},
           {}},
          {Pool::average, {conv("branch_pool", pooled)}, {}}};
}

std::vector<Branch> mixed_b() {
  return {
      {Pool::none, {halving("branch3x3", 384)}, {}},
      {Pool::none,
       {conv("branch3x3dbl_1", 64), square("branch3x3dbl_2", 96, 3), halving("branch3x3dbl_3", 96)},
       {}},
      {Pool::halve, {}, {}}};
}

std::vector<Branch> mixed_c(int64_t width) {
  return {{Pool::none, {conv("branch1x1", 192)}, {}},
          {Pool::none,
           {conv("branch7x7_1", width), wide("branch7x7_2", width, 7), tall("branch7x7_3", 192, 7)},
           {}},
          {Pool::none,
           {conv("branch7x7dbl_1", width), tall("branch7x7dbl_2", width, 7),
            wide("branch7x7dbl_3", width, 7), tall("branch7x7dbl_4", width, 7),
            wide("branch7x7dbl_5", 192, 7)},
           {}},
          {Pool::average, {conv("branch_pool", 192)}, {}}};
}

std::vector<Branch> mixed_d() {
  return {{Pool::none, {conv("branch3x3_1", 192), halving("branch3x3_2", 320)}, {}},
          {Pool::none,
           {conv("branch7x7x3_1", 192), wide("branch7x7x3_2", 192, 7),
            tall("branch7x7x3_3", 192, 7), halving("branch7x7x3_4", 192)},
           {}},
          {Pool::halve, {}, {}}};
}

std::vector<Branch> mixed_e(Pool pool) {
  return {{Pool::none, {conv("branch1x1", 320)}, {}},
          {Pool::none,
           {conv("branch3x3_1", 384)},
           {wide("branch3x3_2a", 384, 3), tall("branch3x3_2b", 384, 3)}},
          {Pool::none,
           {conv("branch3x3dbl_1", 448), square("branch3x3dbl_2", 384, 3)},
           {wide("branch3x3dbl_3a", 384, 3), tall("branch3x3dbl_3b", 384, 3)}},
          {pool, {conv("branch_pool", 192)}, {}}};
}

at::Tensor pooled(const at::Tensor& x, Pool pool) {
  switch (pool) {
    case Pool::average:
      return at::avg_pool2d(x, 3, 1, 1, /*ceil_mode=*/false, /*count_include_pad=*/false);
    case Pool::maximum:
      return at::max_pool2d(x, 3, 1, 1);
    case Pool::halve:
      return at::max_pool2d(x, 3, 2);
    default:
      return x;
  }
}

/**
 * TensorFlow 1's bilinear resize along one dimension: position i samples i · length / side, without
 * aligned corners or half-pixel centres.
 */
at::Tensor tensorflow_resize(const at::Tensor& x, int64_t dim) {
  const auto length = x.size(dim);
  // In float32, as TensorFlow computes it.
  const auto position =
      at::arange(kSide, x.options()) * (static_cast<float>(length) / static_cast<float>(kSide));
  const auto lower = position.floor();
  const auto index = lower.to(at::kLong);
  const auto upper = (index + 1).clamp_max(length - 1);
  auto weight = position - lower;
  if (dim == 2) weight = weight.unsqueeze(1);
  return at::lerp(x.index_select(dim, index), x.index_select(dim, upper), weight);
}

at::Tensor network_input(const at::Tensor& images, InceptionInput input) {
  const bool fits = images.size(2) == kSide && images.size(3) == kSide;
  if (input == InceptionInput::pytorch) {
    if (fits) return images;
    return at::upsample_bilinear2d(images, {kSide, kSide}, /*align_corners=*/false);
  }
  // (level − 128) / 128 of a level (image + 1) · 127.5.
  const auto x = images * (127.5 / 128) - .5 / 128;
  return fits ? x : tensorflow_resize(tensorflow_resize(x, 2), 3);
}

}  // namespace

ConvNorm::ConvNorm(int64_t inputs, const Options& options) : options_(options) {
  const auto channels_last = at::TensorOptions().memory_format(at::MemoryFormat::ChannelsLast);
  const auto [height, width] = options.kernel;
  weight_ = register_module("conv", std::make_shared<torch::nn::Module>())
                ->register_parameter(
                    "weight", at::empty({options.outputs, inputs, height, width}, channels_last),
                    /*requires_grad=*/false);
  const auto norm = register_module("bn", std::make_shared<torch::nn::Module>());
  const auto vector = [&](const char* name) {
    return norm->register_parameter(name, at::empty({options.outputs}), /*requires_grad=*/false);
  };
  gain_ = vector("weight");
  shift_ = vector("bias");
  mean_ = vector("running_mean");
  variance_ = vector("running_var");
}

at::Tensor ConvNorm::forward(const at::Tensor& x) const {
  // Folds the norm into the convolution, which has far fewer weights than activations.
  const auto scale = gain_ * (variance_ + kEps).rsqrt();
  const auto weight = weight_ * scale.view({-1, 1, 1, 1});
  return at::conv2d(x, weight, shift_ - mean_ * scale, options_.stride, options_.padding).relu_();
}

Mixed::Mixed(int64_t inputs, const std::vector<Branch>& branches) {
  for (const auto& branch : branches) {
    Layers layers{.pool = branch.pool, .chain = {}, .fork = {}};
    int64_t width = inputs;
    const auto add = [&](const Conv& options) {
      return register_module(options.name, std::make_shared<ConvNorm>(width, options));
    };
    for (const auto& options : branch.chain) {
      layers.chain.push_back(add(options));
      width = options.outputs;
    }
    for (const auto& options : branch.fork) {
      layers.fork.push_back(add(options));
      outputs_ += options.outputs;
    }
    if (branch.fork.empty()) outputs_ += width;
    branches_.push_back(std::move(layers));
  }
}

at::Tensor Mixed::forward(const at::Tensor& x, at::Tensor* first) const {
  std::vector<at::Tensor> results;
  for (const auto& [pool, chain, fork] : branches_) {
    auto y = pooled(x, pool);
    for (const auto& layer : chain) y = layer->forward(y);
    for (const auto& layer : fork) results.push_back(layer->forward(y));
    if (fork.empty()) results.push_back(std::move(y));
  }
  if (first) *first = results.front();
  return at::cat(results, 1);
}

Inception::Inception(int64_t classes) {
  int64_t width = 3;
  for (const Conv& options : {halving("Conv2d_1a_3x3", 32), Conv{"Conv2d_2a_3x3", 32, {3, 3}},
                              square("Conv2d_2b_3x3", 64, 3), conv("Conv2d_3b_1x1", 80),
                              Conv{"Conv2d_4a_3x3", 192, {3, 3}}}) {
    stem_.push_back(register_module(options.name, std::make_shared<ConvNorm>(width, options)));
    width = options.outputs;
  }
  const std::vector<std::pair<const char*, std::vector<Branch>>> blocks{
      {"Mixed_5b", mixed_a(32)},
      {"Mixed_5c", mixed_a(64)},
      {"Mixed_5d", mixed_a(64)},
      {"Mixed_6a", mixed_b()},
      {"Mixed_6b", mixed_c(128)},
      {"Mixed_6c", mixed_c(160)},
      {"Mixed_6d", mixed_c(160)},
      {"Mixed_6e", mixed_c(192)},
      {"Mixed_7a", mixed_d()},
      {"Mixed_7b", mixed_e(Pool::average)},
      {"Mixed_7c", mixed_e(Pool::maximum)}};
  for (const auto& [name, branches] : blocks) {
    mixed_.push_back(register_module(name, std::make_shared<Mixed>(width, branches)));
    width = mixed_.back()->outputs();
  }
  if (classes > 0) {
    classifier_ = register_module("fc", std::make_shared<torch::nn::Module>())
                      ->register_parameter("weight", at::empty({classes, width}), false);
  }
}

Inception::Output Inception::forward(const at::Tensor& images, InceptionInput input) const {
  auto x = network_input(images, input).contiguous(at::MemoryFormat::ChannelsLast);
  for (size_t i = 0; i < stem_.size(); ++i) {
    if (i == 3) x = at::max_pool2d(x, 3, 2);
    x = stem_[i]->forward(x);
  }
  x = at::max_pool2d(x, 3, 2);
  Output output;
  for (size_t i = 0; i < mixed_.size(); ++i) {
    at::Tensor first;
    x = mixed_[i]->forward(x, &first);
    if (i == kSpatialBlock) {
      output.spatial =
          first.narrow(1, 0, kSpatialChannels).permute({0, 2, 3, 1}).flatten(1).to(at::kFloat);
    }
  }
  output.pool = x.to(at::kFloat).mean({2, 3});
  if (classifier_.defined()) {
    output.probabilities =
        at::softmax(at::linear(output.pool, classifier_).to(at::kFloat), /*dim=*/1);
  }
  return output;
}

}  // namespace mactok
