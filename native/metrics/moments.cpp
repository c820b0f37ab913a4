#include "metrics/moments.h"

#include <limits>

namespace mactok {
namespace {

/** A root R [D, r] of a covariance of rank r: R Rᵀ = Σ. */
at::Tensor root(const at::Tensor& covariance) {
  const auto [values, vectors] = at::linalg_eigh(covariance);  // ascending
  const double largest = values[-1].item<double>();
  const double least =
      static_cast<double>(covariance.size(0)) * std::numeric_limits<double>::epsilon() * largest;
  const int64_t rank = largest > 0 ? (values > least).sum().item<int64_t>() : 0;
  const auto first = covariance.size(0) - rank;
  return vectors.narrow(1, first, rank) * values.narrow(0, first, rank).sqrt();
}

at::Tensor on_host(const at::Tensor& tensor) { return tensor.to(at::kCPU, at::kDouble); }

}  // namespace

Moments::Moments(int64_t width) {
  const auto zeros = [this](const char* name, at::IntArrayRef shape) {
    return register_parameter(name, at::zeros(shape, at::kDouble), /*requires_grad=*/false);
  };
  count = zeros("count", {1});
  mean = zeros("mean", {width});
  scatter = zeros("scatter", {width, width});
}

void Moments::add(const at::Tensor& rows) {
  const auto x = rows.to(mean.device(), at::kDouble);
  const auto batch_mean = x.mean(0);
  const auto centred = x - batch_mean;
  merge(at::full({1}, static_cast<double>(x.size(0)), mean.options()), batch_mean,
        at::mm(centred.t(), centred));
}

void Moments::merge(const at::Tensor& other_count, const at::Tensor& other_mean,
                    const at::Tensor& other_scatter) {
  const auto total = count + other_count;
  // Two empty states merge to an empty one, not to NaN.
  const auto part = other_count / total.clamp_min(1);
  const auto delta = other_mean - mean;
  scatter.add_(other_scatter).addr_(delta * count * part, delta);
  mean.add_(delta * part);
  count.copy_(total);
}

at::Tensor Moments::covariance() const { return scatter / (count - 1); }

double frechet_distance(const at::Tensor& mean_a, const at::Tensor& covariance_a,
                        const at::Tensor& mean_b, const at::Tensor& covariance_b) {
  const auto [a, b] = std::make_pair(on_host(covariance_a), on_host(covariance_b));
  const auto product = at::mm(root(a).t(), root(b));  // [rank a, rank b]
  const double shared = product.numel() > 0 ? at::linalg_svdvals(product).sum().item<double>() : 0;
  const auto apart = (on_host(mean_a) - on_host(mean_b)).square().sum().item<double>();
  return apart + a.trace().item<double>() + b.trace().item<double>() - 2 * shared;
}

}  // namespace mactok
