#pragma once

#include <c10/core/Allocator.h>

#include <cstddef>
#include <functional>
#include <memory>

namespace mactok {

/**
 * Replaces LibTorch's CPU allocator by one that caches freed blocks, whose pages would otherwise be
 * faulted in again in every step. Blocks above 32 KiB are split from segments of 1 GiB and
 * coalesced with free neighbours when freed, so that little more is reserved than was active at
 * once. Of smaller blocks it caches up to 16 MiB: malloc would split and merge them thousands of
 * times per step. Takes effect once per process.
 */
void cache_cpu_memory();

/**
 * Returns the memory of cached blocks to the system (Linux). The next tensors fault it in again.
 */
void release_free_cpu_memory();

/** The system's pages: 4, 16 or 64 KiB, and madvise, which tests replace. */
struct Pages {
  size_t size;
  int (*advise)(void* begin, size_t size, int advice) noexcept;
};

/** A cache of its own, with its segments, which are never freed: for tests. */
struct CpuCache {
  std::shared_ptr<c10::Allocator> allocator;
  std::function<void()> release_free;
};
CpuCache make_cpu_cache(Pages pages);

}  // namespace mactok
