#pragma once

#include "runtime/torch.h"

namespace mactok {

enum class AdversarialLoss {
  hinge,    ///< discriminator: ½[mean relu(1 − r) + mean relu(1 + f)]; generator: −mean f
  vanilla,  ///< discriminator: ½[mean softplus(−r) + mean softplus(f)]; generator: −mean f, as VQGAN
  non_saturating,  ///< discriminator: as vanilla; generator: mean softplus(−f)
};

/** The discriminator's loss, a float32 scalar, from the logits of images and of reconstructions. */
at::Tensor discriminator_loss(AdversarialLoss kind, const at::Tensor& real, const at::Tensor& fake);

/** The generator's loss, a float32 scalar, from the logits of reconstructions. */
at::Tensor generator_loss(AdversarialLoss kind, const at::Tensor& fake);

/**
 * VQGAN's weight of the adversarial term: ‖∇others‖ / (‖∇adversarial‖ + 1e-4) at the decoder's last layer, clamped to [0, 1e4]; a
 * scalar without gradient. Keeps the graph.
 */
at::Tensor adaptive_weight(const at::Tensor& others, const at::Tensor& adversarial,
                           const at::Tensor& last_layer);

}  // namespace mactok
