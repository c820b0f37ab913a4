#pragma once

#include "runtime/torch.h"

#include <string>

namespace mactok {

/** How data and noise mix: x_t = alpha(t)·data + sigma(t)·noise, from noise at t = 0 to data at t = 1 (SiT's direction). */
enum class PathKind {
  linear,  ///< alpha = t, sigma = 1 − t
  gvp,     ///< alpha = sin(πt/2), sigma = cos(πt/2)
  vp,      ///< DDPM's variance-preserving path with beta from 0.1 to 20
};

PathKind parse_path(const std::string& name);

/** The path's coefficients and their derivatives by t, each of t's shape, in double precision. */
struct Coefficients {
  at::Tensor alpha, d_alpha, sigma, d_sigma;
  at::Tensor ratio;  ///< d_alpha / alpha
};

Coefficients coefficients(PathKind path, const at::Tensor& t);

/** The same for a batch x [B, …]: each [B, 1, …] in x's dtype, of times [B] or [1]. */
Coefficients coefficients_like(PathKind path, const at::Tensor& t, const at::Tensor& x);

/** A vector [B] or [1] as [B, 1, …], to broadcast over x [B, …]. */
at::Tensor expand_like(const at::Tensor& vector, const at::Tensor& x);

}  // namespace mactok
