#pragma once

#include "runtime/torch.h"

namespace mactok {

enum class Precision { fp32, bf16 };

/**
 * bf16 autocast of one device type while it lives (nothing for fp32). Autocast is thread-local: each job, and each function that
 * runs again in a backward pass, makes its own. The cache of cast weights is cleared when the outermost one ends.
 */
class Autocast {
 public:
  Autocast(at::DeviceType device, Precision precision);
  ~Autocast();
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;

 private:
  at::DeviceType device_;
  bool was_enabled_;
  at::ScalarType was_dtype_;
};

}  // namespace mactok
