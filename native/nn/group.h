#pragma once

#include "runtime/torch.h"

#include <memory>
#include <vector>

namespace mactok {

/**
 * Modules of one shape that run at once, each on its own group of the channels: a GPU spends more
 * time on launches than on the work of one.
 */
template <typename M>
using Group = std::vector<std::shared_ptr<M>>;

/** A member of each module. */
template <typename M, typename T>
std::vector<T> each(const Group<M>& modules, T M::* member) {
  std::vector<T> result;
  for (const auto& module : modules) result.push_back((*module).*member);
  return result;
}

/** [...] each -> [G, ...], a view of a single one. */
at::Tensor stack(const std::vector<at::Tensor>& tensors);

/** Copies values [G, ...] to the tensors, [...] each. */
void unstack(const at::Tensor& values, const std::vector<at::Tensor>& tensors);

}  // namespace mactok
