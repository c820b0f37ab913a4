#pragma once

#include "runtime/torch.h"

#include <vector>

namespace mactok {

/**
 * Counts a write to each tensor that LibTorch did not see. Who keeps something derived from one, as layers do of their weights,
 * knows by the count that it is old.
 */
inline void count_writes(const std::vector<at::Tensor>& tensors) {
  for (const auto& tensor : tensors) tensor.unsafeGetTensorImpl()->bump_version();
}

}  // namespace mactok
