#include "flow/diffusion.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace mactok {
namespace {

constexpr double kPi = std::numbers::pi;
/** Quotients that have a limit at t = 1 are evaluated this close to it. */
constexpr double kNearEnd = 1 - 1e-6;

struct Scalars {
  double sigma, d_sigma, ratio;
};

Scalars coefficients_at(PathKind path, double t) {
  const auto c = coefficients(path, at::scalar_tensor(t, at::kDouble));
  return {c.sigma.item<double>(), c.d_sigma.item<double>(), c.ratio.item<double>()};
}

/** w at time t. */
double amount_at(const DiffusionOptions& options, PathKind path, double t) {
  const auto& [form, norm, last_step, last_step_size] = options;
  const auto c = coefficients_at(path, t);
  switch (form) {
    case DiffusionForm::constant:
      return norm;
    case DiffusionForm::sbdm:
      return norm * c.sigma * (c.ratio * c.sigma - c.d_sigma);
    case DiffusionForm::sigma:
      return norm * c.sigma;
    case DiffusionForm::linear:
      return norm * (1 - t);
    case DiffusionForm::decreasing:
      return .25 * std::pow(norm * std::cos(kPi * t) + 1, 2);
    default:
      return norm * std::pow(std::sin(kPi * t), 2);
  }
}

}  // namespace

Diffusion diffusion(const DiffusionOptions& options, PathKind path, double t) {
  const double near = std::min(t, kNearEnd);
  // Rounding makes the path's cosines reach −6e-17 at its end.
  const double now = std::max(0.0, amount_at(options, path, t));
  return {.amount = now,
          .over_sigma = amount_at(options, path, near) / coefficients_at(path, near).sigma};
}

at::Tensor sde_drift(const Estimate& estimate, const Diffusion& diffusion) {
  // score = −noise/sigma
  return estimate.velocity - diffusion.over_sigma * estimate.noise;
}

Interval sde_interval(const FlowOptions& flow, const DiffusionOptions& options) {
  auto [start, end] = sampling_interval(flow);
  // SBDM's diffusion is infinite at pure noise; the score is at pure data, where a constant
  // diffusion, or a decreasing one of another magnitude than 1, does not vanish.
  const bool remains = options.form == DiffusionForm::constant ||
                       (options.form == DiffusionForm::decreasing && options.norm != 1);
  if (options.form == DiffusionForm::sbdm && flow.path != PathKind::vp) start = 1e-3;
  if (remains) end = std::min(end, 1 - 1e-3);
  if (options.last_step != LastStep::none) end = 1 - options.last_step_size;
  return {start, end};
}

}  // namespace mactok
