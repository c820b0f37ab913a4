#pragma once

#include "runtime/torch.h"

#include <memory>
#include <vector>

#include "distributed/process_group.h"

namespace mactok {

/**
 * Divides what an optimiser keeps for each parameter among the ranks (ZeRO-1, Rajbhandari et al.
 * 2020): a parameter's owner updates it, and alone has memory for its moments and its average.
 * Tensors are given by parameter.
 */
class Shards {
 public:
  Shards(const std::vector<at::Tensor>& parameters, std::shared_ptr<ProcessGroup> group);

  bool is_mine(size_t parameter) const { return owners_[parameter] == group_->rank(); }

  /** Copies each tensor from its owner to all ranks. */
  void share(const std::vector<at::Tensor>& tensors) const;

  /** Frees the memory of others' tensors, whose values are lost, and allocates it again. */
  void release(const std::vector<at::Tensor>& tensors) const;
  void allocate(const std::vector<at::Tensor>& tensors) const;

  /** Gives rank 0 memory and values for all tensors, until it releases them. */
  void gather(const std::vector<at::Tensor>& tensors) const;

 private:
  std::shared_ptr<ProcessGroup> group_;
  std::vector<int> owners_;
};

}  // namespace mactok
