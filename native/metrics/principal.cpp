#include "metrics/principal.h"

#include <algorithm>

namespace mactok {

PrincipalComponents principal_components(const at::Tensor& x, int64_t count) {
  const auto points = x.to(at::kCPU, at::kDouble);
  const auto mean = points.mean(1);                 // [G, D]
  const auto centred = points - mean.unsqueeze(1);  // [G, N, D]
  const auto freedom = static_cast<double>(std::max<int64_t>(1, points.size(1) - 1));
  const auto [values, vectors] =
      at::linalg_eigh(at::bmm(centred.transpose(1, 2), centred) / freedom);  // ascending
  const auto first = values.size(1) - count;
  auto axes = vectors.narrow(2, first, count).flip(2).transpose(1, 2);  // [G, K, D]
  const auto largest = axes.gather(2, axes.abs().argmax(2, /*keepdim=*/true));
  axes = axes * largest.sign();
  return {.mean = mean.to(at::kFloat),
          .axes = axes.to(at::kFloat),
          .deviations = values.narrow(1, first, count).flip(1).clamp_min(0).sqrt().to(at::kFloat),
          .scores = at::bmm(centred, axes.transpose(1, 2)).to(at::kFloat)};
}

}  // namespace mactok
