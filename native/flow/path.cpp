#include "flow/path.h"

#include <numbers>
#include <vector>

#include "runtime/float64.h"

namespace mactok {
namespace {

constexpr double kHalfPi = std::numbers::pi / 2;
constexpr double kBetaMin = .1, kBetaMax = 20;

Coefficients linear(const at::Tensor& t) {
  const auto one = at::ones_like(t);
  return {.alpha = t, .d_alpha = one, .sigma = 1 - t, .d_sigma = -one, .ratio = 1 / t};
}

Coefficients gvp(const at::Tensor& t) {
  const auto angle = kHalfPi * t;
  const auto sin = angle.sin(), cos = angle.cos();
  return {.alpha = sin,
          .d_alpha = kHalfPi * cos,
          .sigma = cos,
          .d_sigma = -kHalfPi * sin,
          .ratio = kHalfPi * cos / sin};
}

Coefficients vp(const at::Tensor& t) {
  const auto rest = 1 - t;
  const auto log_alpha = -.25 * rest.square() * (kBetaMax - kBetaMin) - .5 * rest * kBetaMin;
  const auto ratio = .5 * rest * (kBetaMax - kBetaMin) + .5 * kBetaMin;
  const auto alpha = log_alpha.exp();
  const auto sigma = (-(2 * log_alpha).expm1()).sqrt();  // √(1 − alpha²)
  return {.alpha = alpha,
          .d_alpha = alpha * ratio,
          .sigma = sigma,
          .d_sigma = -alpha.square() * ratio / sigma,
          .ratio = ratio};
}

}  // namespace

Coefficients coefficients(PathKind path, const at::Tensor& t) {
  const auto precise = to_widest_float(t);
  switch (path) {
    case PathKind::linear:
      return linear(precise);
    case PathKind::gvp:
      return gvp(precise);
    default:
      return vp(precise);
  }
}

at::Tensor expand_like(const at::Tensor& vector, const at::Tensor& x) {
  std::vector<int64_t> shape(static_cast<size_t>(x.dim()), 1);
  shape[0] = vector.numel();
  return vector.reshape(shape);
}

Coefficients coefficients_like(PathKind path, const at::Tensor& t, const at::Tensor& x) {
  const auto fit = [&x](const at::Tensor& value) {
    return expand_like(value, x).to(x.scalar_type());
  };
  const auto c = coefficients(path, t);
  return {.alpha = fit(c.alpha),
          .d_alpha = fit(c.d_alpha),
          .sigma = fit(c.sigma),
          .d_sigma = fit(c.d_sigma),
          .ratio = fit(c.ratio)};
}

}  // namespace mactok
