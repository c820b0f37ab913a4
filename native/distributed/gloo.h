#pragma once

#include "runtime/torch.h"

#include <chrono>
#include <cstdint>
#include <string>
#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>

namespace mactok {

struct GlooOptions {
  int rank, size;
  /** Another rank's address: Gloo listens on the interface that reaches it. */
  std::string host;
  uint16_t port;
  /** Threads that reduce. */
  int threads;
  /** For the ranks to connect to each other, and for each operation. */
  std::chrono::milliseconds timeout;
};

/** LibTorch's Gloo backend, whose headers its packages lack. Waits for the other ranks. */
c10::intrusive_ptr<c10d::Backend> open_gloo(const c10::intrusive_ptr<c10d::Store>& store,
                                            const GlooOptions& options);

}  // namespace mactok
