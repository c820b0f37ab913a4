#pragma once

#include "runtime/torch.h"

namespace mactok {

/** Mean over all elements of (pred − target)² or |pred − target|. */
enum class ReconstructionLoss { mse, l1 };

/** The loss of pred and target, both [B, 3, H, W]; a float32 scalar. */
at::Tensor reconstruction_loss(ReconstructionLoss kind, const at::Tensor& pred,
                               const at::Tensor& target);

}  // namespace mactok
