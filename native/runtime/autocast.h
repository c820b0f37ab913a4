#pragma once

#include "runtime/torch.h"

#include "runtime/tf32.h"

namespace mactok {

/** tf32: float32, but CUDA devices round factors to 11 bits; elsewhere the same as fp32. */
enum class Precision { fp32, tf32, bf16 };

/**
 * Sets the precision of a device type for a scope: bf16 is LibTorch's autocast; fp32 and tf32
 * decide how CUDA multiplies float32 (by LibTorch's default convolutions would round). Autocast is
 * thread-local, so each job, and each function that is recomputed in a backward pass, opens its own
 * scope. The cache of cast weights is cleared when the outermost scope ends.
 */
class Autocast {
 public:
  Autocast(at::DeviceType device, Precision precision);
  ~Autocast();
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;

  /** The precision of this thread on the device type. */
  static Precision current(at::DeviceType device);

 private:
  at::DeviceType device_;
  bool was_enabled_;
  at::ScalarType was_dtype_;
  Tf32 tf32_;
};

}  // namespace mactok
