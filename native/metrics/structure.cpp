#include "metrics/structure.h"

#include <cmath>
#include <vector>

#include "runtime/float64.h"

namespace mactok {
namespace {

constexpr int64_t kWindow = 11;
constexpr double kSigma = 1.5;

std::vector<double> gaussian() {
  std::vector<double> weights;
  double sum = 0;
  for (int64_t i = 0; i < kWindow; ++i) {
    const double distance = static_cast<double>(i - kWindow / 2) / kSigma;
    weights.push_back(std::exp(-.5 * distance * distance));
    sum += weights.back();
  }
  for (auto& weight : weights) weight /= sum;
  return weights;
}

/** The window's weighted mean wherever it fits into images [N, H, W]. */
at::Tensor blur(const at::Tensor& x) {
  const auto weights = gaussian();
  auto result = x;
  for (const int64_t dim : {1, 2}) {
    const auto length = result.size(dim) - kWindow + 1;
    auto sum = result.narrow(dim, 0, length) * weights[0];
    for (int64_t i = 1; i < kWindow; ++i) {
      sum.add_(result.narrow(dim, i, length), weights[static_cast<size_t>(i)]);
    }
    result = sum;
  }
  return result;
}

/** uint8 [B, H, W, 3] -> float64 [3B, H, W] */
at::Tensor planes(const at::Tensor& images) {
  return to_float64(images.permute({0, 3, 1, 2}).flatten(0, 1)).contiguous();
}

}  // namespace

at::Tensor structural_similarity(const at::Tensor& a, const at::Tensor& b) {
  const double c1 = std::pow(.01 * 255, 2);
  const double c2 = std::pow(.03 * 255, 2);
  const auto [x, y] = std::make_pair(planes(a), planes(b));
  const auto mean_x = blur(x);
  const auto mean_y = blur(y);
  const auto product = mean_x * mean_y;
  const auto squares = mean_x.square() + mean_y.square();
  const auto covariance = blur(x * y) - product;
  const auto variances = blur(x.square() + y.square()) - squares;
  const auto map = (2 * product + c1) * (2 * covariance + c2) / ((squares + c1) * (variances + c2));
  return map.view({a.size(0), 3, -1}).mean({1, 2});
}

}  // namespace mactok
