#include "testing/device/faults.h"

#include <c10/util/Exception.h>

#include <utility>

#include "testing/device/state.h"

namespace mactok::stand_in {
namespace {

/** More would only repeat them. */
constexpr size_t kMaxFaults = 100;

struct Faults {
  std::vector<std::string> found;
  int64_t allocations_left = 0;
  int64_t operations_left = 0;
  bool broken = false;
  bool surfaced = false;
};

Faults& faults() {
  static auto& instance = *new Faults;
  return instance;
}

bool count_down(int64_t& left) { return left > 0 && --left == 0; }

}  // namespace

void report_fault(const std::string& fault) {
  {
    const StateLock lock(state_mutex());
    if (faults().found.size() < kMaxFaults) faults().found.push_back(fault);
  }
  TORCH_CHECK(false, fault);
}

std::vector<std::string> take_faults() {
  const StateLock lock(state_mutex());
  return std::exchange(faults().found, {});
}

void fail_allocation(int64_t n) {
  const StateLock lock(state_mutex());
  faults().allocations_left = n;
}

bool counts_down_to_failed_allocation() {
  const StateLock lock(state_mutex());
  return count_down(faults().allocations_left);
}

void fail_operation(int64_t n) {
  const StateLock lock(state_mutex());
  faults().operations_left = n;
}

void recover() {
  const StateLock lock(state_mutex());
  faults().operations_left = 0;
  faults().broken = faults().surfaced = false;
}

void count_down_to_error() {
  const StateLock lock(state_mutex());
  if (count_down(faults().operations_left)) faults().broken = true;
}

void surface_asynchronous_error() {
  const StateLock lock(state_mutex());
  if (faults().broken) faults().surfaced = true;
  refuse_after_error();
}

void refuse_after_error() {
  const StateLock lock(state_mutex());
  TORCH_CHECK(!faults().surfaced, "CUDA error: an illegal memory access was encountered");
}

}  // namespace mactok::stand_in
