#include "runtime/run_ahead.h"

namespace mactok {

void RunAhead::wait() {
  if (!device_.is_cuda()) return;
  if (!done_) {
    done_.emplace(device_.type());
  } else if (!done_->query()) {
    done_->synchronize();
  }
  // Now the end of the previous step, for which the next call waits.
  done_->record(c10::impl::VirtualGuardImpl(device_.type()).getStream(device_));
}

}  // namespace mactok
