#include "testing/device/order.h"

#include <algorithm>

#include "testing/device/faults.h"

namespace mactok::stand_in {

void History::check(const Stamp& use, const char* verb, const Stamp& work,
                    const std::string& name) const {
  if (use.stream == work.stream || has_happened(use, clock_of(work.stream))) return;
  const auto who = "stream " + std::to_string(work.stream);
  const auto other = "stream " + std::to_string(use.stream);
  report_fault(name + " on " + who + (reused_ ? " reuses memory that " : " uses memory that ") +
               other + " still " + verb + ", and has not waited for it");
}

void History::read(const Stamp& work, const std::string& name) {
  if (written_) check(*written_, "writes", work, name);
  const auto same = std::find_if(reads_.begin(), reads_.end(),
                                 [&](const Stamp& read) { return read.stream == work.stream; });
  if (same == reads_.end()) {
    reads_.push_back(work);
  } else {
    *same = work;
  }
}

void History::write(const Stamp& work, const std::string& name) {
  if (written_) check(*written_, "writes", work, name);
  for (const auto& read : reads_) check(read, "reads", work, name);
  reads_.clear();
  written_ = work;
  reused_ = false;
}

void History::forget(size_t stream) {
  if (written_ && written_->stream == stream) written_.reset();
  std::erase_if(reads_, [stream](const Stamp& read) { return read.stream == stream; });
}

}  // namespace mactok::stand_in
