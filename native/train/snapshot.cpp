#include "train/snapshot.h"

#include <ATen/ops/_foreach_copy.h>

#include "runtime/written.h"

namespace mactok {

Snapshot::Snapshot(std::vector<at::Tensor> tensors) : tensors_(std::move(tensors)) {}

std::vector<at::Tensor> Snapshot::flatten() const {
  std::vector<at::Tensor> flat;
  for (const auto& tensor : tensors_) flat.push_back(tensor.view({-1}));
  return flat;
}

void Snapshot::assign(const at::Tensor& values) {
  std::vector<at::Tensor> parts;
  int64_t begin = 0;
  for (const auto& tensor : tensors_) {
    parts.push_back(values.narrow(0, begin, tensor.numel()).view(tensor.sizes()));
    begin += tensor.numel();
  }
  at::_foreach_copy_(tensors_, parts);
  // The fused operation does not count its writes.
  count_writes(tensors_);
}

void Snapshot::take() {
  const at::NoGradGuard no_grad;
  values_ = at::cat(flatten());
}

void Snapshot::restore_if(const at::Tensor& undone) {
  const at::NoGradGuard no_grad;
  assign(at::where(undone.to(at::kBool), values_, at::cat(flatten())));
  values_.reset();
}

void Snapshot::restore() {
  const at::NoGradGuard no_grad;
  if (!values_.defined()) return;
  assign(values_);
  values_.reset();
}

}  // namespace mactok
