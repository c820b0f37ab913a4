#include "runtime/replay.h"

#include <sstream>

namespace mactok {

std::string describe_tensors(const std::vector<at::Tensor*>& tensors) {
  std::ostringstream key;
  for (const auto* tensor : tensors) {
    if (tensor->defined()) key << tensor->scalar_type() << tensor->sizes();
    key << ';';
  }
  return key.str();
}

void replace_by_buffers(const std::vector<at::Tensor*>& tensors) {
  for (auto* tensor : tensors) {
    if (tensor->defined()) *tensor = at::empty(tensor->sizes(), tensor->options());
  }
}

void fill_buffers(const std::vector<at::Tensor*>& buffers,
                  const std::vector<at::Tensor*>& tensors) {
  for (size_t i = 0; i < buffers.size(); ++i) {
    if (buffers[i]->defined()) buffers[i]->copy_(*tensors[i], /*non_blocking=*/true);
  }
}

}  // namespace mactok
