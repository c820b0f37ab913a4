#include "flow/diffusion.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <stdexcept>

namespace mactok {
namespace {

constexpr double kPi = std::numbers::pi;
/** Quotients that tend to a limit at t = 1 are taken this close to it. */
constexpr double kNearEnd = 1 - 1e-6;

struct Scalars {
  double sigma, d_sigma, ratio;
};

Scalars scalars(PathKind path, double t) {
  const auto c = coefficients(path, at::scalar_tensor(t, at::kDouble));
  return {c.sigma.item<double>(), c.d_sigma.item<double>(), c.ratio.item<double>()};
}

double amount(const DiffusionOptions& options, PathKind path, double t) {
  const auto& [form, norm, last, size] = options;
  const auto c = scalars(path, t);
  if (form == "constant") return norm;
  if (form == "sbdm") return norm * c.sigma * (c.ratio * c.sigma - c.d_sigma);
  if (form == "sigma") return norm * c.sigma;
  if (form == "linear") return norm * (1 - t);
  if (form == "decreasing") return .25 * std::pow(norm * std::cos(kPi * t) + 1, 2);
  if (form == "increasing-decreasing") return norm * std::pow(std::sin(kPi * t), 2);
  throw std::invalid_argument(
      "diffusion: expected constant, sbdm, sigma, linear, decreasing or increasing-decreasing but "
      "received " +
      form);
}

}  // namespace

Diffusion diffusion(const DiffusionOptions& options, PathKind path, double t) {
  const double near = std::min(t, kNearEnd);
  // Cosines of the path reach −6e-17 at its end.
  const double now = std::max(0.0, amount(options, path, t));
  return {.amount = now, .over_sigma = amount(options, path, near) / scalars(path, near).sigma};
}

at::Tensor sde_drift(const Estimate& estimate, const Diffusion& diffusion) {
  return estimate.velocity - diffusion.over_sigma * estimate.noise;  // score = −noise/sigma
}

Interval sde_interval(const FlowOptions& flow, const DiffusionOptions& options) {
  auto [start, end] = sampling_interval(flow);
  // SBDM's diffusion is infinite where there is no data; a constant one meets an infinite score where there is no noise.
  if (options.form == "sbdm" && flow.path != PathKind::vp) start = 1e-3;
  if (options.form == "constant") end = std::min(end, 1 - 1e-3);
  if (options.last_step != "none") end = 1 - options.last_step_size;
  return {start, end};
}

}  // namespace mactok
