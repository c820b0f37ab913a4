#pragma once

#include "runtime/torch.h"

namespace mactok {

/** tf32: float32, but CUDA devices round what they multiply to 11 bits; elsewhere the same as fp32. */
enum class Precision { fp32, tf32, bf16 };

/**
 * How one device type computes while it lives: bf16 is LibTorch's autocast, fp32 and tf32 say how CUDA multiplies float32 (LibTorch's
 * own default would let convolutions round). Autocast is thread-local: each job, and each function that runs again in a backward
 * pass, makes its own. The cache of cast weights is cleared when the outermost one ends.
 */
class Autocast {
 public:
  Autocast(at::DeviceType device, Precision precision);
  ~Autocast();
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;

  /** How this thread computes on that device type. */
  static Precision current(at::DeviceType device);

 private:
  at::DeviceType device_;
  bool was_enabled_, multiplied_tf32_, convolved_tf32_;
  at::ScalarType was_dtype_;
};

}  // namespace mactok
