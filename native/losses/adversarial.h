#pragma once

#include "runtime/torch.h"

#include "distributed/process_group.h"

namespace mactok {

/** Losses of the logits r of images and f of reconstructions. */
enum class AdversarialLoss {
  /** Discriminator: ½[mean relu(1 − r) + mean relu(1 + f)]; generator: −mean f. */
  hinge,
  /** Discriminator: ½[mean softplus(−r) + mean softplus(f)]; generator: −mean f, as VQGAN. */
  vanilla,
  /** Discriminator: as vanilla; generator: mean softplus(−f). */
  non_saturating,
};

/** The discriminator's loss, a float32 scalar, of the logits of images and reconstructions. */
at::Tensor discriminator_loss(AdversarialLoss kind, const at::Tensor& real, const at::Tensor& fake);

/** The generator's loss, a float32 scalar, of the logits of reconstructions. */
at::Tensor generator_loss(AdversarialLoss kind, const at::Tensor& fake);

/**
 * VQGAN's weight of the adversarial term: ‖∇others‖ / (‖∇adversarial‖ + 1e-4) at the decoder's last
 * layer, clamped to [0, 1e4]; a scalar without gradient. Keeps the graph. With a group the
 * gradients are those of the means over all ranks.
 */
at::Tensor adaptive_weight(const at::Tensor& others, const at::Tensor& adversarial,
                           const at::Tensor& last_layer, ProcessGroup* group = nullptr);

}  // namespace mactok
