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

at::Tensor BatchNorm::forward(const Group<BatchNorm>& norms, const at::Tensor& x) {
  const auto join = [&norms](at::Tensor BatchNorm::* member) {
    return stack(each(norms, member)).flatten();  // [G·C]
  };
  const bool trains = norms[0]->is_training();
  const auto mean = join(&BatchNorm::running_mean), var = join(&BatchNorm::running_var);
  const auto y =
      at::batch_norm(to_pixels(x.to(at::kFloat)), join(&BatchNorm::weight), join(&BatchNorm::bias),
                     mean, var, trains, kMomentum, norms[0]->eps_, /*cudnn_enabled=*/true);
  const auto groups = static_cast<int64_t>(norms.size());
  if (trains && groups > 1) {
    unstack(mean.view({groups, -1}), each(norms, &BatchNorm::running_mean));
    unstack(var.view({groups, -1}), each(norms, &BatchNorm::running_var));
  }
  return from_pixels(y, x);
}

void BatchNorm::update_running(const at::Tensor& mean, const at::Tensor& variance) {
  const at::NoGradGuard no_grad;
  running_mean.lerp_(mean, kMomentum);
  running_var.lerp_(variance, kMomentum);
}

}  // namespace mactok
