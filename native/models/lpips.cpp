#include "models/lpips.h"

#include <algorithm>

#include "kernels/chunks.h"
#include "kernels/unit_distance.h"
#include "nn/checkpoint.h"

namespace mactok {
namespace {

/** A slice of torchvision's network: its pooling, then its layers by their index in `features`. */
struct SliceTable {
  int64_t pool;
  std::vector<std::pair<int64_t, ConvRelu::Options>> layers;
};

ConvRelu::Options conv3(int64_t inputs, int64_t outputs) { return {inputs, outputs, 3, 1, 1}; }

std::vector<SliceTable> vgg() {
  return {{0, {{0, conv3(3, 64)}, {2, conv3(64, 64)}}},
          {2, {{5, conv3(64, 128)}, {7, conv3(128, 128)}}},
          {2, {{10, conv3(128, 256)}, {12, conv3(256, 256)}, {14, conv3(256, 256)}}},
          {2, {{17, conv3(256, 512)}, {19, conv3(512, 512)}, {21, conv3(512, 512)}}},
          {2, {{24, conv3(512, 512)}, {26, conv3(512, 512)}, {28, conv3(512, 512)}}}};
}

std::vector<SliceTable> alex() {
  return {{0, {{0, {3, 64, 11, 4, 2}}}},
          {3, {{3, {64, 192, 5, 1, 2}}}},
          {3, {{6, conv3(192, 384)}}},
          {0, {{8, conv3(384, 256)}}},
          {0, {{10, conv3(256, 256)}}}};
}

constexpr double kEps = 1e-10;

/**
 * Each position's features scaled to unit length, in float32. The gradient at length 0 is 0 here,
 * not NaN as in the package.
 */
at::Tensor unit(const at::Tensor& features) {
  const auto x = features.to(at::kFloat);
  return x / (at::linalg_vector_norm(x, 2, {1}, /*keepdim=*/true) + kEps);
}

/**
 * The distance of features [B, C, h, w] at each position, [B, h·w]. Gradients reach x only.
 *
 * LibTorch's operations take several times the memory of the features, in float32: a few images at a
 * time, computed again in the backward pass.
 */
at::Tensor distance_at_positions(const at::Tensor& x, const at::Tensor& y,
                                 const at::Tensor& weight) {
  if (kernels::supports(x)) return kernels::unit_distance(x, y, weight, kEps);
  constexpr int64_t kMaxElements = int64_t{1} << 24;
  const int64_t images = std::max<int64_t>(1, kMaxElements * x.size(0) / x.numel());
  const auto found = x.split(images), wanted = y.split(images);
  std::vector<at::Tensor> parts;
  for (size_t i = 0; i < found.size(); ++i) {
    const auto distance = [target = wanted[i], weight](const at::Tensor& part) {
      return ((unit(part) - unit(target)).square() * weight).sum(1).flatten(1);
    };
    const bool trains = at::GradMode::is_enabled() && x.requires_grad();
    parts.push_back(trains ? checkpoint(distance, found[i], {}) : distance(found[i]));
  }
  return parts.size() == 1 ? parts[0] : at::cat(parts);
}

}  // namespace

ConvRelu::ConvRelu(const Options& options)
    : options_(options),
      weight_(register_parameter(
          "weight",
          at::empty({options.outputs, options.inputs, options.kernel, options.kernel},
                    at::TensorOptions().memory_format(at::MemoryFormat::ChannelsLast)),
          /*requires_grad=*/false)),
      bias_(register_parameter("bias", at::empty({options.outputs}), /*requires_grad=*/false)) {}

at::Tensor ConvRelu::forward(const at::Tensor& x) const {
  const auto weight = cast_parameter(weight_cast_, weight_);
  const auto bias = cast_parameter(bias_cast_, bias_);
  return at::conv2d(x, weight, bias, options_.stride, options_.padding).relu_();
}

Lpips::Lpips(LpipsNetwork network) {
  const auto net = register_module("net", std::make_shared<torch::nn::Module>());
  for (const auto& table : network == LpipsNetwork::vgg ? vgg() : alex()) {
    const auto number = slices_.size();
    Slice slice{.pool = table.pool, .layers = {}, .weight = {}};
    const auto layers = net->register_module("slice" + std::to_string(number + 1),
                                             std::make_shared<torch::nn::Module>());
    for (const auto& [index, options] : table.layers) {
      slice.layers.push_back(
          layers->register_module(std::to_string(index), std::make_shared<ConvRelu>(options)));
    }
    const auto linear =
        register_module("lin" + std::to_string(number), std::make_shared<torch::nn::Module>())
            ->register_module("model", std::make_shared<torch::nn::Module>())
            ->register_module("1", std::make_shared<torch::nn::Module>());
    const int64_t channels = table.layers.back().second.outputs;
    slice.weight = linear->register_parameter("weight", at::empty({1, channels, 1, 1}), false);
    slices_.push_back(std::move(slice));
  }
}

std::vector<at::Tensor> Lpips::features(const at::Tensor& images) const {
  const auto pixels = images.to(at::kFloat);
  auto x = ((pixels - shift_.like(pixels)) / deviation_.like(pixels))
               .contiguous(at::MemoryFormat::ChannelsLast);
  std::vector<at::Tensor> result;
  for (const auto& slice : slices_) {
    if (slice.pool > 0) x = at::max_pool2d(x, slice.pool, 2);
    for (const auto& layer : slice.layers) x = layer->forward(x);
    result.push_back(x);  // [B, C, h, w]
  }
  return result;
}

at::Tensor Lpips::forward(const at::Tensor& x, const at::Tensor& y) const {
  std::vector<at::Tensor> targets;
  {
    const at::NoGradGuard no_grad;
    targets = features(y);
  }
  const auto levels = features(x);
  at::Tensor distance;
  for (size_t i = 0; i < slices_.size(); ++i) {
    const auto level =
        distance_at_positions(levels[i], targets[i], slices_[i].weight).mean(1);  // [B]
    distance = distance.defined() ? distance + level : level;
  }
  return distance;
}

}  // namespace mactok
