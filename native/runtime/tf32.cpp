#include "runtime/tf32.h"

#include <ATen/Context.h>

#include <array>
#include <condition_variable>
#include <cstddef>
#include <mutex>

namespace mactok {
namespace {

thread_local Tf32* innermost = nullptr;

struct Switch {
  std::mutex mutex;
  std::condition_variable changed;
  /** Threads that need it off, and on. */
  std::array<int, 2> users{};

  void acquire(bool on) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return users[on ? 0 : 1] == 0; });
    if (users[on ? 1 : 0]++ > 0) return;
    at::globalContext().setAllowTF32CuBLAS(on);
    at::globalContext().setAllowTF32CuDNN(on);
  }

  void release(bool on) {
    const std::lock_guard lock(mutex);
    if (--users[on ? 1 : 0] == 0) changed.notify_all();
  }
};

Switch& tf32() {
  static Switch instance;
  return instance;
}

}  // namespace

Tf32::Tf32(at::DeviceType device, bool allowed)
    : applies_(device == at::kCUDA), allowed_(allowed), outer_(innermost) {
  if (!applies_) return;
  // A thread holds what its innermost scope needs and nothing else, or two could wait for each other.
  if (!outer_ || outer_->allowed_ != allowed_) {
    if (outer_) tf32().release(outer_->allowed_);
    tf32().acquire(allowed_);
  }
  innermost = this;
}

Tf32::~Tf32() {
  if (!applies_) return;
  innermost = outer_;
  if (outer_ && outer_->allowed_ == allowed_) return;
  tf32().release(allowed_);
  if (outer_) tf32().acquire(outer_->allowed_);
}

}  // namespace mactok
