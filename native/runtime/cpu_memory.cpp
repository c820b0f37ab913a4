#include "runtime/cpu_memory.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/alloc_cpu.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <map>
#include <mutex>
#include <new>
#include <vector>

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace mactok {
namespace {

constexpr size_t kAlignment = 64, kPage = 4096, kHugePage = size_t{2} << 20;
/** Blocks up to this size are powers of two, each with a list of its own. */
constexpr size_t kLargestSmall = size_t{32} << 10;
constexpr size_t kMostSmall = size_t{16} << 20;  // bytes that these lists hold

/** What stands before a tensor's bytes. */
struct alignas(kAlignment) Header {
  size_t size;  // of the block, itself included
};

class Cache final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    if (bytes == 0) return {nullptr, nullptr, &Cache::release, c10::Device(c10::kCPU)};
    const size_t size = bytes + sizeof(Header);
    auto* header = size <= kLargestSmall ? take_small(std::bit_ceil(size))
                                         : take((size + kPage - 1) / kPage * kPage);
    return {header + 1, header + 1, &Cache::release, c10::Device(c10::kCPU)};
  }

  c10::DeleterFnPtr raw_deleter() const override { return &Cache::release; }

  void copy_data(void* to, const void* from, size_t count) const override {
    std::memcpy(to, from, count);
  }

  static Cache* instance;

 private:
  struct Free {
    Header* header;
    uint64_t when;
  };

  static void release(void* data) {
    if (data == nullptr) return;
    auto* header = static_cast<Header*>(data) - 1;
    if (header->size <= kLargestSmall) {
      instance->give_small(header);
    } else {
      instance->give(header);
    }
  }

  std::vector<Header*>& list_of(size_t size) {
    return small_[static_cast<size_t>(std::countr_zero(size))];
  }

  Header* take_small(size_t size) {
    {
      const std::lock_guard lock(mutex_);
      auto& list = list_of(size);
      if (!list.empty()) {
        auto* header = list.back();
        list.pop_back();
        cached_small_ -= size;
        return header;
      }
    }
    return create(size);
  }

  void give_small(Header* header) {
    {
      const std::lock_guard lock(mutex_);
      if (cached_small_ + header->size <= kMostSmall) {
        list_of(header->size).push_back(header);
        cached_small_ += header->size;
        return;
      }
    }
    c10::free_cpu(header);
  }

  Header* take(size_t size) {
    const std::lock_guard lock(mutex_);
    // A block a little too large will do; its end is in use, but for nothing.
    const auto found = free_.lower_bound(size);
    if (found != free_.end() && found->first <= size + size / 8) {
      auto* header = found->second.header;
      cached_ -= header->size;
      used_ += header->size;
      free_.erase(found);
      return header;
    }
    most_ = std::max(most_, used_ + size);
    while (cached_ > 0 && used_ + cached_ + size > most_ + most_ / 8) drop_oldest();
    auto* header = create(size);
    used_ += size;
    return header;
  }

  void give(Header* header) {
    const std::lock_guard lock(mutex_);
    used_ -= header->size;
    cached_ += header->size;
    free_.emplace(header->size, Free{header, ++clock_});
  }

  void drop_oldest() {
    const auto oldest = std::min_element(
        free_.begin(), free_.end(),
        [](const auto& a, const auto& b) { return a.second.when < b.second.when; });
    cached_ -= oldest->first;
    c10::free_cpu(oldest->second.header);
    free_.erase(oldest);
  }

  static Header* create(size_t size) {
    void* block = c10::alloc_cpu(size);
#ifdef __linux__
    if (size >= 4 * kHugePage) {
      const auto first = reinterpret_cast<uintptr_t>(block);
      const auto begin = (first + kPage - 1) / kPage * kPage;
      madvise(reinterpret_cast<void*>(begin), first + size - begin, MADV_HUGEPAGE);
    }
#endif
    return new (block) Header{size};
  }

  std::mutex mutex_;
  std::array<std::vector<Header*>, std::countr_zero(kLargestSmall) + 1> small_;
  std::multimap<size_t, Free> free_;
  uint64_t clock_ = 0;
  size_t used_ = 0, cached_ = 0, most_ = 0;  // bytes of larger blocks
  size_t cached_small_ = 0;
};

Cache* Cache::instance = nullptr;

}  // namespace

void cache_cpu_memory() {
  static std::once_flag once;
  std::call_once(once, [] {
    // Never deleted: tensors may outlive everything else.
    Cache::instance = new Cache;
    c10::SetCPUAllocator(Cache::instance, /*priority=*/1);
  });
}

}  // namespace mactok
