#include "models/teacher.h"

#include <cmath>

namespace mactok {

Teacher::Teacher(const VitOptions& options) : DinoV2(options) {
  for (auto& parameter : parameters()) parameter.requires_grad_(false);
}

Features Teacher::features(const at::Tensor& images) const {
  const at::NoGradGuard no_grad;
  const int64_t side = options().grid * options().patch;
  auto x = normalize_(images);
  if (x.size(2) != side || x.size(3) != side) {
    x = at::upsample_bicubic2d(x, {side, side}, /*align_corners=*/false);
  }
  return forward(x);
}

at::Tensor semantic_scores(const Features& features, int64_t grid) {
  const auto cls = features.cls.to(at::kFloat).unsqueeze(1);                            // [B, 1, D]
  const auto scores = at::cosine_similarity(cls, features.patches.to(at::kFloat), -1);  // [B, N]
  const auto side = static_cast<int64_t>(std::lround(std::sqrt(scores.size(1))));
  if (side == grid) return scores;
  return at::upsample_bilinear2d(scores.view({-1, 1, side, side}), {grid, grid}, false).flatten(1);
}

}  // namespace mactok
