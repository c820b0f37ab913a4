#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <string>
#include <vector>

#include "testing/device/allocator.h"

namespace mactok::stand_in {

/** A use of a tensor's memory by an operation. */
struct Use {
  char* block;
  /** Of the block, when the operation was launched. */
  int64_t generation;
  bool writes;
};

/**
 * An operation in the order of its stream, after what the stream has waited for. While the stream
 * is recorded nothing runs on a GPU, so that only what the operation writes is saved.
 */
class Work {
 public:
  Work(size_t stream, std::string name);

  /** Throws where the tensor's memory was freed, or its other uses are in no order with this one. */
  void use(const at::Tensor& tensor, bool writes);
  /** The same of a replayed operation. `pool` is the graph's own, whose memory it may always use. */
  void use(const Use& use, int pool);

  const std::vector<Use>& uses() const { return uses_; }

 private:
  void add(Block& block, bool writes);

  std::string name_;
  std::optional<Stamp> stamp_;
  Recorder* recorder_;
  std::vector<Use> uses_;
};

/** The same memory as a tensor of the CPU. */
at::Tensor on_host(const at::Tensor& tensor);

}  // namespace mactok::stand_in
