#pragma once

#include "runtime/torch.h"

namespace mactok {

/** In nats. */
struct MutualInformation {
  double total = 0;
  /** Of each token alone, float64 [L]. */
  at::Tensor tokens;
};

/**
 * The mutual information of images and latents under Gaussian posteriors of N images,
 * E log q(z|x) − E log q(z), where q(z) is the mixture of all N posteriors: one sample of each,
 * evaluated under every posterior. At most log N.
 * means, logvars, samples: [N, L, Z]. Computed in float64, token by token.
 */
MutualInformation mutual_information(const at::Tensor& means, const at::Tensor& logvars,
                                     const at::Tensor& samples);

}  // namespace mactok
