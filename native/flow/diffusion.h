#pragma once

#include <string>

#include "flow/prediction.h"

namespace mactok {

/** How much noise an SDE adds and takes away: dx = (v + w·score) dt + √(2w) dW, w(t) by form (SiT's). */
struct DiffusionOptions {
  std::string form;       ///< constant, sbdm, sigma, linear, decreasing, increasing-decreasing
  double norm;            ///< its magnitude
  std::string last_step;  ///< mean, tweedie, euler, none
  double last_step_size;
};

/** w, and w/sigma, which stays finite at t = 1 where w falls as fast as sigma does. */
struct Diffusion {
  double amount, over_sigma;
};

/** @throws std::invalid_argument for an unknown form. */
Diffusion diffusion(const DiffusionOptions& options, PathKind path, double t);

/** v + w·score: an SDE's drift. */
at::Tensor sde_drift(const Estimate& estimate, const Diffusion& diffusion);

/** Where the SDE's steps run; the last step goes on from the end. */
Interval sde_interval(const FlowOptions& flow, const DiffusionOptions& options);

}  // namespace mactok
