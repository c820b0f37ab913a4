#pragma once

#include "runtime/torch.h"

#include <cstdint>
#include <functional>
#include <memory>

#include "flow/diffusion.h"
#include "flow/field.h"

namespace mactok {

/** Solvers of ODEs, and of SDEs: euler_maruyama and sde_heun. */
enum class SamplerMethod { euler, heun, midpoint, dopri5, euler_maruyama, sde_heun };

/** Whether each sample has its own adaptive step size, or the batch shares one (torchdiffeq). */
enum class StepControl { sample, batch };

struct SamplerOptions {
  SamplerMethod method;
  /** The number of steps of fixed-step methods, an SDE's `last_step` included. */
  int64_t steps;
  /** Shift of the times of fixed steps, see TimestepOptions. */
  double shift;
  /** Tolerances of dopri5. */
  double rtol, atol;
  /** How dopri5 controls its step sizes. */
  StepControl control;
  DiffusionOptions diffusion;
};

/** Standard normals [B, …] for a step of an SDE. */
using Increments = std::function<at::Tensor(int64_t step)>;

/** Integrates from noise to data, one step per call. */
class Sampler {
 public:
  /** start: [B, …] at t = 0; the state keeps its dtype (float32 or float64). */
  Sampler(Field field, at::Tensor start);
  virtual ~Sampler() = default;

  virtual bool done() const = 0;
  /** The time reached, of the slowest sample. */
  virtual double time() const = 0;
  /** One step, or one attempt at an adaptive one. */
  virtual void step() = 0;

  const at::Tensor& latents() const { return x_; }
  /** The clean latents that the start of the last step implies. */
  const at::Tensor& preview() const { return preview_; }
  const Evaluations& evaluations() const { return field_.evaluations(); }

 protected:
  /** The field at the start of a step; also updates the preview. */
  Estimate begin(double t);

  Field field_;
  at::Tensor x_, preview_;
};

std::unique_ptr<Sampler> make_sampler(const SamplerOptions& options, Field field, at::Tensor start,
                                      Increments increments);

}  // namespace mactok
