#pragma once

#include "runtime/torch.h"

#include <cstdint>

namespace mactok {

struct PrincipalComponents {
  /** [G, D] */
  at::Tensor mean;
  /** [G, K, D], of unit length, by descending variance, the largest entry positive. */
  at::Tensor axes;
  /** [G, K] */
  at::Tensor deviations;
  /** [G, N, K] */
  at::Tensor scores;
};

/**
 * The first K principal components of each of G clouds, x [G, N, D]: float32, computed in float64.
 */
PrincipalComponents principal_components(const at::Tensor& x, int64_t count);

}  // namespace mactok
