#include "metrics/neighbours.h"

namespace mactok {
namespace {

/** [M, N] */
at::Tensor squared_distances(const at::Tensor& rows, const at::Tensor& all) {
  const auto norms = all.square().sum(1).unsqueeze(0);
  auto distances = at::addmm(norms, rows, all.t(), /*beta=*/1, /*alpha=*/-2);
  return distances.add_(rows.square().sum(1, /*keepdim=*/true)).clamp_min_(0);
}

}  // namespace

at::Tensor neighbour_radii(const at::Tensor& rows, const at::Tensor& all, int64_t k) {
  // The nearest is the row itself.
  return std::get<0>(squared_distances(rows, all).kthvalue(k + 1, 1));
}

at::Tensor in_manifold(const at::Tensor& rows, const at::Tensor& all, const at::Tensor& radii) {
  return (squared_distances(rows, all) <= radii).any(1);
}

}  // namespace mactok
