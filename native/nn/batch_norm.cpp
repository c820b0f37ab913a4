#include "nn/batch_norm.h"

#include "nn/pixels.h"

namespace mactok {
namespace {

constexpr double kMomentum = .1;

}  // namespace

BatchNorm::BatchNorm(int64_t channels, double eps)
    : weight(register_parameter("weight", at::empty({channels}))),
      bias(register_parameter("bias", at::empty({channels}))),
      running_mean(register_buffer("running_mean", at::empty({channels}))),
      running_var(register_buffer("running_var", at::empty({channels}))),
      eps_(eps) {}

at::Tensor BatchNorm::forward(const at::Tensor& x) {
  const auto y =
      at::batch_norm(to_pixels(x.to(at::kFloat)), weight, bias, running_mean, running_var,
                     is_training(), kMomentum, eps_, /*cudnn_enabled=*/true);
  return from_pixels(y, x);
}

void BatchNorm::update_running(const at::Tensor& mean, const at::Tensor& variance) {
  const at::NoGradGuard no_grad;
  running_mean.lerp_(mean, kMomentum);
  running_var.lerp_(variance, kMomentum);
}

}  // namespace mactok
