#include "nn/group.h"

#include <ATen/ops/_foreach_copy.h>

namespace mactok {

at::Tensor stack(const std::vector<at::Tensor>& tensors) {
  return tensors.size() == 1 ? tensors[0].unsqueeze(0) : at::stack(tensors);
}

void unstack(const at::Tensor& values, const std::vector<at::Tensor>& tensors) {
  at::_foreach_copy_(tensors, values.unbind());
}

}  // namespace mactok
