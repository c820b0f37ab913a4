#include "testing/device/pinned.h"

#include <cstdlib>
#include <cstring>
#include <iterator>
#include <map>
#include <new>

#include "testing/device/state.h"

namespace mactok::stand_in {
namespace {

std::map<const char*, size_t>& ranges() {
  static auto& instance = *new std::map<const char*, size_t>;
  return instance;
}

void release(void* begin) {
  const StateLock lock(state_mutex());
  ranges().erase(static_cast<char*>(begin));
  std::free(begin);
}

class PinnedAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    auto* begin = static_cast<char*>(std::malloc(bytes + 1));
    if (!begin) throw std::bad_alloc();
    const StateLock lock(state_mutex());
    ranges()[begin] = bytes + 1;
    return {begin, begin, &release, c10::Device(c10::kCPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &release; }
  void copy_data(void* target, const void* source, size_t bytes) const override {
    std::memcpy(target, source, bytes);
  }
};

}  // namespace

c10::Allocator& pinned_allocator() {
  static auto& instance = *new PinnedAllocator;
  return instance;
}

bool is_pinned(const void* address) {
  const StateLock lock(state_mutex());
  const auto* byte = static_cast<const char*>(address);
  const auto after = ranges().upper_bound(byte);
  if (after == ranges().begin()) return false;
  const auto& [begin, size] = *std::prev(after);
  return byte < begin + size;
}

}  // namespace mactok::stand_in
