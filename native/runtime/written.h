#pragma once

#include "runtime/torch.h"

#include <vector>

namespace mactok {

/**
 * Bumps the version of tensors that were written without LibTorch's knowledge, so that values
 * derived from them, such as the layers' cached casts of weights, are recognised as outdated.
 */
inline void count_writes(const std::vector<at::Tensor>& tensors) {
  for (const auto& tensor : tensors) tensor.unsafeGetTensorImpl()->bump_version();
}

}  // namespace mactok
