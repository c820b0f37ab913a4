#include "models/discriminator.h"

#include <cmath>
#include <numbers>

#include "nn/initialize.h"
#include "nn/synced_batch_norm.h"
#include "runtime/float64.h"

namespace mactok {
namespace {

at::Tensor activate(const at::Tensor& x) { return at::leaky_relu(x, .2); }

}  // namespace

DiscriminatorBlock::DiscriminatorBlock(int64_t width, int64_t kernel)
    : convolution(register_module("0", std::make_shared<SpectralConv1d>(width, width, kernel))),
      norm(register_module("1", std::make_shared<BatchNorm>(width, 1e-6))) {}

at::Tensor DiscriminatorBlock::forward(const Group<DiscriminatorBlock>& blocks,
                                       const at::Tensor& x) {
  const auto y = SpectralConv1d::forward(each(blocks, &DiscriminatorBlock::convolution), x);
  return activate(BatchNorm::forward(each(blocks, &DiscriminatorBlock::norm), y));
}

DiscriminatorHead::DiscriminatorHead(int64_t width, int64_t kernel)
    : first(register_module("0", std::make_shared<DiscriminatorBlock>(width, 1))),
      residual(register_module("1", std::make_shared<torch::nn::Module>())
                   ->register_module("fn", std::make_shared<DiscriminatorBlock>(width, kernel))),
      last(register_module("2", std::make_shared<SpectralConv1d>(width, 1, 1))) {}

at::Tensor DiscriminatorHead::forward(const Group<DiscriminatorHead>& heads, const at::Tensor& x) {
  const auto y = DiscriminatorBlock::forward(each(heads, &DiscriminatorHead::first), x);
  return finish(heads, y,
                DiscriminatorBlock::forward(each(heads, &DiscriminatorHead::residual), y));
}

at::Tensor DiscriminatorHead::finish(const Group<DiscriminatorHead>& heads, const at::Tensor& first,
                                     const at::Tensor& residual) {
  const auto z = (residual + first) * (1 / std::numbers::sqrt2);
  const auto logits = SpectralConv1d::forward(each(heads, &DiscriminatorHead::last), z);
  return logits.transpose(1, 2).to(at::kFloat).flatten(1);
}

Discriminator::Discriminator(const DiscriminatorOptions& options)
    : options_(options),
      backbone_(register_module("backbone", std::make_shared<DinoV2>(options.backbone))) {
  for (auto& parameter : backbone_->parameters()) parameter.set_requires_grad(false);
  const auto heads = register_module("heads", std::make_shared<torch::nn::Module>());
  for (size_t i = 0; i <= options.levels.size(); ++i) {
    heads_.push_back(heads->register_module(
        std::to_string(i),
        std::make_shared<DiscriminatorHead>(options.backbone.width, options.kernel)));
  }
}

at::Tensor Discriminator::prepare(const at::Tensor& images, const at::Tensor& crop) const {
  const auto x = normalize_(images);
  const int64_t side = options_.backbone.grid * options_.backbone.patch;
  const int64_t height = x.size(2), width = x.size(3);
  if (height == side && width == side) return x;
  // Area resizing is the mean over each target pixel's window.
  const auto resized = height > side
                           ? at::adaptive_avg_pool2d(x, {side, side})
                           : at::upsample_bicubic2d(x, {side, side}, /*align_corners=*/false);
  if (height <= side || width <= side) return resized;
  const auto draw = to_widest_float(crop);
  const auto window = [&](int64_t dim, int64_t i) {
    const auto first =
        (draw.select(1, i) * static_cast<double>(x.size(dim) - side + 1)).to(at::kLong);
    return first + at::arange(side, first.options());
  };
  const auto cropped = x.index_select(2, window(2, 1)).index_select(3, window(3, 2));
  return at::where(draw.select(1, 0) < .5, cropped, resized);
}

std::vector<at::Tensor> Discriminator::features(const at::Tensor& prepared) const {
  std::vector<at::Tensor> result;
  for (const auto& level : backbone_->intermediate(prepared, options_.levels)) {
    result.push_back(level.patches.to(at::kFloat) + level.cls.to(at::kFloat).unsqueeze(1));
  }
  return result;
}

at::Tensor Discriminator::logits(const std::vector<at::Tensor>& features) {
  ++calls_;
  const bool synced = group_ && is_training();
  if (features[0].is_cuda() && !synced) {
    return DiscriminatorHead::forward(heads_, at::cat(features, 2));
  }
  std::vector<at::Tensor> result;
  if (synced) {
    const auto first = run_blocks(&DiscriminatorHead::first, features);
    const auto residual = run_blocks(&DiscriminatorHead::residual, first);
    for (size_t i = 0; i < heads_.size(); ++i) {
      result.push_back(DiscriminatorHead::finish({heads_[i]}, first[i], residual[i]));
    }
  } else {
    for (size_t i = 0; i < heads_.size(); ++i) {
      result.push_back(DiscriminatorHead::forward({heads_[i]}, features[i]));
    }
  }
  return at::cat(result, 1);
}

std::vector<at::Tensor> Discriminator::run_blocks(Block block, const std::vector<at::Tensor>& xs) {
  const auto blocks = each(heads_, block);
  std::vector<at::Tensor> convolved;
  for (size_t i = 0; i < blocks.size(); ++i) {
    convolved.push_back(SpectralConv1d::forward({blocks[i]->convolution}, xs[i]));
  }
  const auto norms = each(blocks, &DiscriminatorBlock::norm);
  auto result = synced_batch_norm(norms, convolved, *group_);
  for (auto& x : result) x = activate(x);
  return result;
}

void Discriminator::set_trained(bool trained) {
  for (const auto& head : heads_) {
    for (auto& parameter : head->parameters()) parameter.set_requires_grad(trained);
  }
}

void initialize(Discriminator& discriminator, uint64_t seed) {
  for (const auto& item : discriminator.named_modules("discriminator", /*include_self=*/false)) {
    if (auto* convolution = item.value()->as<SpectralConv1d>()) {
      const auto name = [&item](const char* part) { return item.key() + "." + part; };
      const double bound = 1 / std::sqrt(static_cast<double>(convolution->weight_v.numel()));
      init::uniform(convolution->weight_orig, seed, name("weight"), bound);
      init::uniform(convolution->bias, seed, name("bias"), bound);
      for (const auto& [part, vector] :
           {std::pair{"u", convolution->weight_u}, std::pair{"v", convolution->weight_v}}) {
        init::normal(vector, seed, name(part), 1);
        vector.div_(vector.norm());
      }
    } else if (auto* norm = item.value()->as<BatchNorm>()) {
      for (const auto& [values, value] :
           {std::pair{norm->weight, 1.}, std::pair{norm->bias, 0.},
            std::pair{norm->running_mean, 0.}, std::pair{norm->running_var, 1.}}) {
        init::constant(values, value);
      }
    }
  }
}

}  // namespace mactok
