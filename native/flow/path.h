#pragma once

#include "runtime/torch.h"

namespace mactok {

/**
 * How data and noise mix: x_t = alpha(t)·data + sigma(t)·noise, from noise at t = 0 to data at t =
 * 1 (SiT's direction).
 */
enum class PathKind {
  /** alpha = t, sigma = 1 − t. */
  linear,
  /** alpha = sin(πt/2), sigma = cos(πt/2). */
  gvp,
  /** DDPM's variance-preserving path with beta from 0.1 to 20. */
  vp,
};

/** The path's coefficients and their derivatives by t, each of t's shape, in float64. */
struct Coefficients {
  at::Tensor alpha, d_alpha, sigma, d_sigma;
  /** d_alpha / alpha. */
  at::Tensor ratio;
};

Coefficients coefficients(PathKind path, const at::Tensor& t);

/** The coefficients at times [B] or [1] for a batch x [B, …]: each [B, 1, …] in x's dtype. */
Coefficients coefficients_like(PathKind path, const at::Tensor& t, const at::Tensor& x);

/** A vector [B] or [1] as [B, 1, …], which broadcasts over x [B, …]. */
at::Tensor expand_like(const at::Tensor& vector, const at::Tensor& x);

}  // namespace mactok
