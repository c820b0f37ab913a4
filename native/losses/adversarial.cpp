#include "losses/adversarial.h"

#include "runtime/gradients.h"

namespace mactok {

at::Tensor discriminator_loss(AdversarialLoss kind, const at::Tensor& real,
                              const at::Tensor& fake) {
  if (kind == AdversarialLoss::hinge) {
    return .5 * (at::relu(1 - real).mean() + at::relu(1 + fake).mean());
  }
  return .5 * (at::softplus(-real).mean() + at::softplus(fake).mean());
}

at::Tensor generator_loss(AdversarialLoss kind, const at::Tensor& fake) {
  return kind == AdversarialLoss::non_saturating ? at::softplus(-fake).mean() : -fake.mean();
}

at::Tensor adaptive_weight(const at::Tensor& others, const at::Tensor& adversarial,
                           const at::Tensor& last_layer, ProcessGroup* group) {
  const auto gradient = [&last_layer](const at::Tensor& loss) {
    return differentiate(loss, {last_layer}, {}, {.retain_graph = true})[0];
  };
  auto of_others = gradient(others), of_adversarial = gradient(adversarial);
  if (group) {
    const auto both = at::stack({of_others, of_adversarial});
    group->sum(both);
    both.div_(group->size());
    of_others = both[0];
    of_adversarial = both[1];
  }
  return (of_others.norm() / (of_adversarial.norm() + 1e-4)).clamp(0, 1e4).detach();
}

}  // namespace mactok
