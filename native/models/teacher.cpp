#include "models/teacher.h"

#include <cmath>
#include <utility>

namespace mactok {
namespace {

/** From [-1, 1] to ImageNet's normalisation: (x/2 + 1/2 − mean) / deviation, as one product and sum. */
at::Tensor normalize(const at::Tensor& images) {
  const auto options = images.options();
  const auto mean = at::tensor({.485, .456, .406}, at::kDouble).view({3, 1, 1});
  const auto deviation = at::tensor({.229, .224, .225}, at::kDouble).view({3, 1, 1});
  const auto scale = (.5 / deviation).to(options);
  const auto shift = ((.5 - mean) / deviation).to(options);
  return at::addcmul(shift, images, scale);
}

}  // namespace

Teacher::Teacher(std::shared_ptr<DinoV2> network, int64_t input_size)
    : network_(std::move(network)), input_size_(input_size) {
  const VitOptions& options = network_->options;
  TORCH_CHECK(input_size == options.grid * options.patch, "teacher: input size ", input_size,
              " is not its grid ", options.grid, " times its patch ", options.patch);
  for (auto& parameter : network_->parameters()) parameter.requires_grad_(false);
}

Features Teacher::features(const at::Tensor& images) const {
  const at::NoGradGuard no_grad;
  auto x = normalize(images);
  if (images.size(2) != input_size_ || images.size(3) != input_size_) {
    x = at::upsample_bicubic2d(x, {input_size_, input_size_}, /*align_corners=*/false);
  }
  return network_->forward(x);
}

at::Tensor semantic_scores(const Features& features, int64_t grid) {
  const auto cls = features.cls.to(at::kFloat).unsqueeze(1);                            // [B, 1, D]
  const auto scores = at::cosine_similarity(cls, features.patches.to(at::kFloat), -1);  // [B, N]
  const auto side = static_cast<int64_t>(std::lround(std::sqrt(scores.size(1))));
  if (side == grid) return scores;
  return at::upsample_bilinear2d(scores.view({-1, 1, side, side}), {grid, grid}, false).flatten(1);
}

}  // namespace mactok
