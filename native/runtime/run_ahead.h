#pragma once

#include "runtime/torch.h"

#include <c10/core/Event.h>

#include <optional>

namespace mactok {

/**
 * Keeps the host at most two steps ahead of a CUDA device. A graph is launched in no time: without
 * a bound the inputs of hundreds of steps would wait in pinned and in device memory.
 */
class RunAhead {
 public:
  explicit RunAhead(at::Device device) : device_(device) {}

  /** Called before a step: waits for the step before the previous one. */
  void wait();

 private:
  at::Device device_;
  /** The end of the step before the previous one. */
  std::optional<c10::Event> done_;
};

}  // namespace mactok
