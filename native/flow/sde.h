#pragma once

#include <vector>

#include "flow/sampler.h"

namespace mactok {

/**
 * Euler–Maruyama, or Heun with the noise added before its two evaluations; then SiT's last step,
 * without noise.
 */
class SdeSampler : public Sampler {
 public:
  SdeSampler(const SamplerOptions& options, Field field, at::Tensor start, Increments increments);

  bool done() const override;
  double time() const override;
  void step() override;

 private:
  at::Tensor drift(const Estimate& estimate, double t) const;
  void take_last_step(double t);

  bool heun_;
  DiffusionOptions diffusion_;
  Increments increments_;
  std::vector<double> times_;
  size_t index_ = 0;
  bool finished_ = false;
};

}  // namespace mactok
