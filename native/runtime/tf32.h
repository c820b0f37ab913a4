#pragma once

#include "runtime/torch.h"

namespace mactok {

/**
 * Whether CUDA rounds the factors of float32 products to TF32, for a scope. LibTorch has one switch
 * for the whole process, so scopes of other threads that need it otherwise wait for each other;
 * within a thread the inner scope counts.
 */
class Tf32 {
 public:
  /** Does nothing for other devices than CUDA's. */
  Tf32(at::DeviceType device, bool allowed);
  ~Tf32();
  Tf32(const Tf32&) = delete;
  Tf32& operator=(const Tf32&) = delete;

 private:
  bool applies_, allowed_;
  /** The scope around it on this thread. */
  Tf32* outer_;
};

}  // namespace mactok
