#include "flow/sampler.h"

#include "flow/dopri5.h"
#include "flow/ode.h"
#include "flow/sde.h"

namespace mactok {

Sampler::Sampler(Field field, at::Tensor start)
    : field_(std::move(field)), x_(std::move(start)), preview_(x_) {}

Estimate Sampler::begin(double t) {
  auto estimate = field_(x_, {t});
  preview_ = data_estimate(field_.flow().path, x_, estimate.velocity, vector_like({t}, x_));
  return estimate;
}

std::unique_ptr<Sampler> make_sampler(const SamplerOptions& options, Field field, at::Tensor start,
                                      Increments increments) {
  switch (options.method) {
    case SamplerMethod::dopri5:
      return std::make_unique<Dopri5>(options, std::move(field), std::move(start));
    case SamplerMethod::euler_maruyama:
    case SamplerMethod::sde_heun:
      return std::make_unique<SdeSampler>(options, std::move(field), std::move(start),
                                          std::move(increments));
    default:
      return std::make_unique<FixedStepOde>(options, std::move(field), std::move(start));
  }
}

}  // namespace mactok
