#pragma once

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

}  // namespace mactok
