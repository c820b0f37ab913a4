#pragma once

#include "runtime/torch.h"

#include <cstdint>

namespace mactok {

/**
 * The manifolds of improved precision and recall (Kynkäänniemi et al. 2019), by squared distances
 * as in ADM's evaluator. Both take a block of rows, so that the distance matrix stays small: rows
 * [M, D], all [N, D], float32.
 */

/** Squared distance of each row to its k-th nearest neighbour among all, itself excluded: [M]. */
at::Tensor neighbour_radii(const at::Tensor& rows, const at::Tensor& all, int64_t k);

/** Whether each row lies within the radius of one of all: bool [M]. radii: squared, [N]. */
at::Tensor in_manifold(const at::Tensor& rows, const at::Tensor& all, const at::Tensor& radii);

}  // namespace mactok
