#pragma once

#include "flow/prediction.h"

namespace mactok {

/** The shape of w over time (SiT's). */
enum class DiffusionForm { constant, sbdm, sigma, linear, decreasing, increasing_decreasing };

/**
 * How an SDE removes the remaining noise: by its drift, Tweedie's formula, an Euler step, or not.
 */
enum class LastStep { mean, tweedie, euler, none };

/** How much noise an SDE adds and removes: dx = (v + w·score) dt + √(2w) dW. */
struct DiffusionOptions {
  DiffusionForm form;
  /** Magnitude of w. */
  double norm;
  LastStep last_step;
  double last_step_size;
};

/** w, and w/sigma, which stays finite at t = 1 where w falls as fast as sigma. */
struct Diffusion {
  double amount, over_sigma;
};

Diffusion diffusion(const DiffusionOptions& options, PathKind path, double t);

/** v + w·score, an SDE's drift. */
at::Tensor sde_drift(const Estimate& estimate, const Diffusion& diffusion);

/** The times of the SDE's steps; the last step continues from the end. */
Interval sde_interval(const FlowOptions& flow, const DiffusionOptions& options);

}  // namespace mactok
