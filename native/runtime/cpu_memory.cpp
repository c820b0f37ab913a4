#include "runtime/cpu_memory.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/alloc_cpu.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <set>
#include <utility>
#include <vector>

#ifdef __linux__
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace mactok {
namespace {

constexpr size_t kAlignment = 64;
/** Sizes of larger blocks are multiples of this, whatever the size of a page. */
constexpr size_t kGranule = 4096;
/** Blocks up to this size are rounded up to powers of two, with a free list for each. */
constexpr size_t kLargestSmall = size_t{32} << 10;
/** The most bytes that these lists cache. */
constexpr size_t kMostSmall = size_t{16} << 20;
/** Larger blocks are split from segments of this size, of which only used pages are resident. */
constexpr size_t kSegment = size_t{1} << 30;

class Cache;

/** Precedes a tensor's bytes. */
struct alignas(kAlignment) Header {
  /** Bytes of the block, including this header. */
  size_t size;
  Cache* owner;
};

/** The CPU allocator: splits and coalesces free blocks. */
class Cache final : public c10::Allocator {
 public:
  explicit Cache(Pages pages) : pages_(pages) {}

  c10::DataPtr allocate(size_t bytes) override {
    if (bytes == 0) return {nullptr, nullptr, &Cache::release, c10::Device(c10::kCPU)};
    const size_t size = bytes + sizeof(Header);
    auto* header = size <= kLargestSmall ? take_small(std::bit_ceil(size))
                                         : take((size + kGranule - 1) / kGranule * kGranule);
    return {header + 1, header + 1, &Cache::release, c10::Device(c10::kCPU)};
  }

  c10::DeleterFnPtr raw_deleter() const override { return &Cache::release; }

  void copy_data(void* to, const void* from, size_t count) const override {
    std::memcpy(to, from, count);
  }

  void release_free() {
#ifdef __linux__
    const std::lock_guard lock(mutex_);
    for (const auto& [begin, size] : free_) advise(begin, size, MADV_DONTNEED);
#endif
  }

 private:
  static void release(void* data) {
    if (data == nullptr) return;
    auto* header = static_cast<Header*>(data) - 1;
    if (header->size <= kLargestSmall) {
      header->owner->give_small(header);
    } else {
      header->owner->give(header);
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
    return new (c10::alloc_cpu(size)) Header{size, this};
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

  /** Splits a block from the smallest free range that is large enough. */
  Header* take(size_t size) {
    const std::lock_guard lock(mutex_);
    auto found = by_size_.lower_bound({size, nullptr});
    if (found == by_size_.end()) {
      add_segment(size);
      found = by_size_.lower_bound({size, nullptr});
    }
    const auto [whole, begin] = *found;
    remove(begin, whole);
    if (whole > size) add(begin + size, whole - size);
    return new (begin) Header{size, this};
  }

  /** Returns a block to the free ranges, coalesced with its neighbours. */
  void give(Header* header) {
    const std::lock_guard lock(mutex_);
    auto* begin = reinterpret_cast<char*>(header);
    size_t size = header->size;
    const auto after = free_.lower_bound(begin);
    if (after != free_.begin()) {
      const auto [before, length] = *std::prev(after);
      if (before + length == begin) {
        remove(before, length);
        begin = before;
        size += length;
      }
    }
    if (after != free_.end()) {
      const auto [next, length] = *after;
      if (begin + size == next) {
        remove(next, length);
        size += length;
      }
    }
    add(begin, size);
  }

  void add(char* begin, size_t size) {
    free_.emplace(begin, size);
    by_size_.emplace(size, begin);
  }

  void remove(char* begin, size_t size) {
    free_.erase(begin);
    by_size_.erase({size, begin});
  }

  void add_segment(size_t least) {
    size_t size = std::max(kSegment, least);
    void* segment = nullptr;
    try {
      segment = c10::alloc_cpu(size);
    } catch (const c10::Error&) {  // the address space is limited
      segment = c10::alloc_cpu(size = least);
    }
#ifdef __linux__
    advise(static_cast<char*>(segment), size, MADV_HUGEPAGE);
#endif
    add(static_cast<char*>(segment), size);
  }

  /** Advises on the whole pages of a range: of others the neighbours own a part. */
  void advise(char* begin, size_t size, int advice) const {
    const auto address = reinterpret_cast<uintptr_t>(begin);
    const auto first = (address + pages_.size - 1) / pages_.size * pages_.size,
               end = (address + size) / pages_.size * pages_.size;
    if (first < end) pages_.advise(reinterpret_cast<void*>(first), end - first, advice);
  }

  Pages pages_;
  std::mutex mutex_;
  std::array<std::vector<Header*>, std::countr_zero(kLargestSmall) + 1> small_;
  size_t cached_small_ = 0;
  /** The free ranges, by address and by size. */
  std::map<char*, size_t> free_;
  std::set<std::pair<size_t, char*>> by_size_;
};

Pages system_pages() {
#ifdef __linux__
  return {.size = static_cast<size_t>(sysconf(_SC_PAGESIZE)), .advise = madvise};
#else
  return {.size = kGranule, .advise = nullptr};
#endif
}

/** Never deleted, because tensors may outlive everything else. */
Cache* cache = nullptr;

}  // namespace

void cache_cpu_memory() {
  static std::once_flag once;
  std::call_once(once, [] {
    cache = new Cache(system_pages());
    c10::SetCPUAllocator(cache, /*priority=*/1);
  });
}

void release_free_cpu_memory() { cache->release_free(); }

CpuCache make_cpu_cache(Pages pages) {
  auto made = std::make_shared<Cache>(pages);
  return {.allocator = made, .release_free = [made] { made->release_free(); }};
}

}  // namespace mactok
