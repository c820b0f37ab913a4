#include "distributed/shards.h"

#include <algorithm>
#include <numeric>

namespace mactok {
namespace {

/** Allocates or frees a tensor's memory, which no other tensor must use; its shape stays. */
void set_allocated(const at::Tensor& tensor, bool is_allocated) {
  auto* storage = tensor.storage().unsafeGetStorageImpl();
  const size_t bytes = is_allocated ? tensor.nbytes() : 0;
  if (storage->nbytes() == bytes) return;
  TORCH_CHECK(is_allocated || storage->nbytes() == tensor.nbytes(),
              "sharded state needs tensors with memory of their own");
  storage->set_data_ptr_noswap(is_allocated ? storage->allocator()->allocate(bytes)
                                            : at::DataPtr(nullptr, tensor.device()));
  storage->set_nbytes(bytes);
}

}  // namespace

Shards::Shards(const std::vector<at::Tensor>& parameters, std::shared_ptr<ProcessGroup> group)
    : group_(std::move(group)), owners_(parameters.size()) {
  std::vector<size_t> order(parameters.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](size_t one, size_t other) {
    return parameters[one].numel() > parameters[other].numel();
  });
  // The largest first, each to the rank that has the least: the same on all ranks.
  std::vector<int64_t> loads(static_cast<size_t>(group_->size()));
  for (const size_t parameter : order) {
    const auto least = std::min_element(loads.begin(), loads.end());
    owners_[parameter] = static_cast<int>(least - loads.begin());
    *least += parameters[parameter].numel();
  }
}

void Shards::share(const std::vector<at::Tensor>& tensors) const {
  for (int owner = 0; owner < group_->size(); ++owner) {
    std::vector<at::Tensor> own;
    for (size_t i = 0; i < tensors.size(); ++i) {
      if (owners_[i] == owner) own.push_back(tensors[i]);
    }
    group_->broadcast(own, owner);
  }
}

void Shards::release(const std::vector<at::Tensor>& tensors) const {
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (!is_mine(i)) set_allocated(tensors[i], false);
  }
}

void Shards::allocate(const std::vector<at::Tensor>& tensors) const {
  for (const auto& tensor : tensors) set_allocated(tensor, true);
}

void Shards::gather(const std::vector<at::Tensor>& tensors) const {
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (group_->rank() == 0) set_allocated(tensors[i], true);
    // The others only take part: they need memory for one tensor at a time.
    const auto value = group_->rank() == 0 || is_mine(i) ? tensors[i] : at::empty_like(tensors[i]);
    group_->broadcast({value}, owners_[i]);
  }
}

}  // namespace mactok
