#include "testing/device/counters.h"

#include <algorithm>
#include <utility>

#include "testing/device/state.h"

namespace mactok::stand_in {
namespace {

Counts& counts() {
  static auto& instance = *new Counts;
  return instance;
}

/** The bytes of tensors beyond those at the last call of take_counts. */
int64_t& held() {
  static int64_t instance = 0;
  return instance;
}

}  // namespace

void count_operation(const std::string& name) {
  const StateLock lock(state_mutex());
  ++counts().operations[name];
}

void count_replay(int64_t operations) {
  const StateLock lock(state_mutex());
  ++counts().replays;
  counts().replayed += operations;
}

void count_synchronization(const std::string& name) {
  const StateLock lock(state_mutex());
  ++counts().synchronizations[name];
}

void count_wait() {
  const StateLock lock(state_mutex());
  ++counts().waits;
}

void count_upload() {
  const StateLock lock(state_mutex());
  ++counts().uploads;
}

void count_allocation() {
  const StateLock lock(state_mutex());
  ++counts().allocations;
}

void count_run_ahead(int64_t operations) {
  const StateLock lock(state_mutex());
  counts().run_ahead = std::max(counts().run_ahead, operations);
}

void count_bytes(int64_t bytes) {
  const StateLock lock(state_mutex());
  held() += bytes;
  counts().peak_bytes = std::max(counts().peak_bytes, held());
}

Counts take_counts() {
  const StateLock lock(state_mutex());
  held() = 0;
  return std::exchange(counts(), {});
}

}  // namespace mactok::stand_in
