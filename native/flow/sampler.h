#pragma once

#include "runtime/torch.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "flow/diffusion.h"
#include "flow/field.h"

namespace mactok {

struct SamplerOptions {
  std::string method;  ///< ODE: euler, heun, midpoint, dopri5; SDE: euler-maruyama, sde-heun
  int64_t steps;       ///< of fixed-step methods; the last one of an SDE is its `last_step`
  double shift;        ///< of fixed steps' times; see TimestepOptions
  double rtol, atol;   ///< dopri5
  bool
      per_sample;  ///< dopri5: each sample has its own steps; else one step size for the batch, as torchdiffeq
  DiffusionOptions diffusion;
};

/** Standard normals [B, …] of an SDE's step. */
using Increments = std::function<at::Tensor(int64_t step)>;

/** Takes noise to data, a step at a time. */
class Sampler {
 public:
  /** start: [B, …] at t = 0; its dtype (float32 or float64) is the state's. */
  Sampler(Field field, at::Tensor start);
  virtual ~Sampler() = default;

  virtual bool done() const = 0;
  /** The time that (the slowest sample of) the state has reached. */
  virtual double time() const = 0;
  /** One step, or one attempt at an adaptive one. */
  virtual void step() = 0;

  const at::Tensor& latents() const { return x_; }
  /** The clean latents that the last step's start pointed to. */
  const at::Tensor& preview() const { return preview_; }
  const Evaluations& evaluations() const { return field_.evaluations(); }

 protected:
  /** The field at x at one time; where a step begins, it also gives the preview. */
  Estimate begin(double t);

  Field field_;
  at::Tensor x_, preview_;
};

std::unique_ptr<Sampler> make_sampler(const SamplerOptions& options, Field field, at::Tensor start,
                                      Increments increments);

}  // namespace mactok
