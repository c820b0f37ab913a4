#pragma once

#include "runtime/torch.h"

#include <cstdint>

namespace mactok {

struct PrincipalComponents {
  at::Tensor mean;  // [G, D]
  at::Tensor axes;  // [G, K, D], unit length, largest variance first, the largest entry positive
  at::Tensor deviations;  // [G, K]
  at::Tensor scores;      // [G, N, K]
};

/** The K principal components of each of G clouds of points, x [G, N, D]; float32, computed in float64. */
PrincipalComponents principal_components(const at::Tensor& x, int64_t count);

}  // namespace mactok
