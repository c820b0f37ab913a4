#pragma once

#include "runtime/torch.h"

#include "models/tokenizer.h"

namespace mactok {

/**
 * KL divergence of the posterior from N(0, 1) in nats: ½ Σ (μ² + σ² − 1 − log σ²) over all L·Z
 * latents; float32 [B].
 */
at::Tensor kl_divergence(const Posterior& posterior);

}  // namespace mactok
