#include "losses/kl.h"

namespace mactok {

at::Tensor kl_divergence(const Posterior& posterior) {
  TORCH_CHECK(posterior.logvar.defined(), "KL divergence: expected a kl bottleneck");
  const auto mean = posterior.mean.to(at::kFloat), logvar = posterior.logvar.to(at::kFloat);
  return .5 * (mean.square() + logvar.exp() - 1 - logvar).sum({1, 2});  // [B, L, Z] -> [B]
}

}  // namespace mactok
