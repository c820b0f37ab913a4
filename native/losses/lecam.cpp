#include "losses/lecam.h"

namespace mactok {

Lecam::Lecam(double decay, at::Device device)
    : decay_(decay),
      real_(at::zeros({}, at::TensorOptions(device).dtype(at::kFloat))),
      fake_(at::zeros_like(real_)) {
  begin();
}

void Lecam::begin() {
  real_before_ = real_.clone();
  fake_before_ = fake_.clone();
}

void Lecam::update(const at::Tensor& real, const at::Tensor& fake, double share) {
  const at::NoGradGuard no_grad;
  // Relative to the start of the step, so that micro-batches add up to an update by the batch mean.
  real_.add_((real - real_before_) * ((1 - decay_) * share));
  fake_.add_((fake - fake_before_) * ((1 - decay_) * share));
}

at::Tensor Lecam::loss(const at::Tensor& real, const at::Tensor& fake) const {
  // Copies, because the averages change before the backward pass.
  return at::relu(real - fake_.clone()).square().mean() +
         at::relu(real_.clone() - fake).square().mean();
}

std::vector<std::pair<std::string, at::Tensor>> Lecam::state() const {
  return {{"real", real_}, {"fake", fake_}};
}

}  // namespace mactok
