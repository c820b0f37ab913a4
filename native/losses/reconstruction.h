#pragma once

#include "runtime/torch.h"

#include <string_view>

namespace mactok {

/** Mean over all elements of (pred − target)² ("mse") or |pred − target| ("l1"), a float32 scalar; both [B, 3, H, W]. */
at::Tensor reconstruction_loss(const at::Tensor& pred, const at::Tensor& target,
                               std::string_view kind);

}  // namespace mactok
