#include "metrics/mutual_information.h"

#include <cmath>
#include <vector>

namespace mactok {
namespace {

/**
 * log q(zᵢ|xⱼ) of one token up to a constant, [N, N], from means, logvars and samples [N, Z]. The
 * square is expanded, so that two matrix products compute it.
 */
at::Tensor log_densities(const at::Tensor& means, const at::Tensor& logvars,
                         const at::Tensor& samples) {
  const auto precisions = logvars.neg().exp();
  const auto constants = (means.square() * precisions + logvars).sum(1).unsqueeze(0);
  auto twice = at::addmm(constants, samples.square(), precisions.t());
  twice.addmm_(samples, (means * precisions).t(), /*beta=*/1, /*alpha=*/-2);
  return twice.mul_(-.5);
}

/** Mean over samples of log q(zᵢ|xᵢ) − log (1/N Σⱼ q(zᵢ|xⱼ)). */
at::Tensor information(const at::Tensor& densities) {
  const auto count = static_cast<double>(densities.size(0));
  return (densities.diagonal() - densities.logsumexp(1)).mean() + std::log(count);
}

}  // namespace

MutualInformation mutual_information(const at::Tensor& means, const at::Tensor& logvars,
                                     const at::Tensor& samples) {
  const auto count = means.size(0);
  auto joint = at::zeros({count, count}, means.options().dtype(at::kDouble));
  std::vector<at::Tensor> tokens;
  for (int64_t token = 0; token < means.size(1); ++token) {
    const auto part = [&](const at::Tensor& x) { return x.select(1, token).to(at::kDouble); };
    const auto densities = log_densities(part(means), part(logvars), part(samples));
    tokens.push_back(information(densities));
    joint.add_(densities);
  }
  return {information(joint).item<double>(), at::stack(tokens)};
}

}  // namespace mactok
