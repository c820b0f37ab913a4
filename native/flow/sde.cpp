#include "flow/sde.h"

#include <cmath>

#include "flow/ode.h"

namespace mactok {

SdeSampler::SdeSampler(const SamplerOptions& options, Field field, at::Tensor start,
                       Increments increments)
    : Sampler(std::move(field), std::move(start)),
      heun_(options.method == SamplerMethod::sde_heun),
      diffusion_(options.diffusion),
      increments_(std::move(increments)) {
  const bool extra = diffusion_.last_step != LastStep::none;
  TORCH_CHECK_VALUE(options.steps > (extra ? 1 : 0), "steps: expected at least ", extra ? 2 : 1,
                    " but received ", options.steps);
  times_ = time_grid(sde_interval(field_.flow(), diffusion_), options.steps - (extra ? 1 : 0),
                     options.shift);
  finished_ = !extra;
}

bool SdeSampler::done() const { return finished_ && index_ + 1 == times_.size(); }

double SdeSampler::time() const { return done() ? 1 : times_[index_]; }

at::Tensor SdeSampler::drift(const Estimate& estimate, double t) const {
  return sde_drift(estimate, diffusion(diffusion_, field_.flow().path, t));
}

void SdeSampler::step() {
  const double t = times_[index_];
  if (index_ + 1 == times_.size()) return take_last_step(t);
  const double h = times_[index_ + 1] - t;
  const double amount = diffusion(diffusion_, field_.flow().path, t).amount;
  const auto noise =
      increments_(static_cast<int64_t>(index_)).to(x_.options()) * std::sqrt(2 * amount * h);
  if (heun_) {
    x_ = x_ + noise;
    const auto first = drift(begin(t), t);
    const auto second = drift(field_(x_ + h * first, {t + h}), t + h);
    x_ = x_ + .5 * h * (first + second);
  } else {
    x_ = x_ + h * drift(begin(t), t) + noise;
  }
  ++index_;
}

void SdeSampler::take_last_step(double t) {
  const auto estimate = begin(t);
  const double size = diffusion_.last_step_size;
  if (diffusion_.last_step == LastStep::mean) {
    x_ = x_ + size * drift(estimate, t);
  } else if (diffusion_.last_step == LastStep::euler) {
    x_ = x_ + size * estimate.velocity;
  } else {
    // Tweedie's formula: the data's mean given x.
    const auto c = coefficients_like(field_.flow().path, vector_like({t}, x_), x_);
    x_ = (x_ - c.sigma * estimate.noise) / c.alpha;
  }
  finished_ = true;
}

}  // namespace mactok
