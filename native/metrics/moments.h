#pragma once

#include "runtime/torch.h"

#include <cstdint>

namespace mactok {

/**
 * Mean and covariance of rows that arrive in batches, in float64 (Chan, Golub and LeVeque 1983).
 * Its state is `count` [1], `mean` [D] and `scatter` [D, D], the sum of (x − mean)(x − mean)ᵀ; two
 * states merge exactly.
 */
class Moments : public torch::nn::Module {
 public:
  explicit Moments(int64_t width);

  /** rows: [B, D] */
  void add(const at::Tensor& rows);
  void merge(const at::Tensor& count, const at::Tensor& mean, const at::Tensor& scatter);
  /** Unbiased, [D, D]. */
  at::Tensor covariance() const;

  at::Tensor count, mean, scatter;
};

/**
 * The Fréchet distance of two Gaussians, |μ₁ − μ₂|² + Tr(Σ₁ + Σ₂ − 2 √(Σ₁Σ₂)), in float64 on the
 * CPU. Tr √(Σ₁Σ₂) is the sum of the singular values of √Σ₁ √Σ₂, with each root from a symmetric
 * eigendecomposition without the directions whose variance is zero to rounding: fewer images than
 * features cause neither complex numbers nor noise.
 */
double frechet_distance(const at::Tensor& mean_a, const at::Tensor& covariance_a,
                        const at::Tensor& mean_b, const at::Tensor& covariance_b);

}  // namespace mactok
