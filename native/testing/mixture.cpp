#include "testing/mixture.h"

namespace mactok {

Mixture::Mixture(const MixtureOptions& options) : options_(options) {
  const int64_t width = c10::multiply_integers(options.latent_shape);
  means_ = register_parameter("means", at::zeros({options.components, width}), false);
  deviations_ = register_parameter("deviations", at::ones({options.components}), false);
  weights_ =
      register_parameter("weights", at::ones({options.classes + 1, options.components}), false);
}

at::Tensor Mixture::forward(const at::Tensor& latents, const at::Tensor& times,
                            const at::Tensor& labels) const {
  const auto x = latents.flatten(1).to(at::kDouble);                    // [B, D]
  const auto c = coefficients_like(options_.path, times, x);            // [B, 1]
  const auto means = means_.to(at::kDouble);                            // [K, D]
  const auto variances = deviations_.to(at::kDouble).square();          // [K]
  const auto spread = c.alpha.square() * variances + c.sigma.square();  // [B, K]
  const auto offsets = x.unsqueeze(1) - c.alpha.unsqueeze(1) * means;   // [B, K, D]
  const auto width = static_cast<double>(x.size(1));
  const auto log_density = weights_.to(at::kDouble).index_select(0, labels).log() -
                           .5 * offsets.square().sum(2) / spread - .5 * width * spread.log();
  const auto share = log_density.softmax(1).unsqueeze(2);  // [B, K, 1]
  const auto slope =
      ((c.alpha * c.d_alpha * variances + c.sigma * c.d_sigma) / spread).unsqueeze(2);  // [B, K, 1]
  const auto velocity = (share * (c.d_alpha.unsqueeze(1) * means + slope * offsets)).sum(1);
  return velocity.view_as(latents).to(at::kFloat);
}

}  // namespace mactok
