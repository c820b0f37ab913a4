#pragma once

#include <c10/core/Event.h>
#include <c10/cuda/CUDAStream.h>

#include <shared_mutex>

namespace mactok {

/**
 * A new stream that only its owner uses: LibTorch gives out those of its own pool again and again.
 * It is never destroyed, because LibTorch's allocator keeps memory by stream.
 */
c10::cuda::CUDAStream make_stream(c10::DeviceIndex device);

/** Makes `stream` wait for the queued work of `before`. */
void make_wait(const c10::cuda::CUDAStream& stream, const c10::cuda::CUDAStream& before);

/** Shared by recordings; held alone to return memory, which LibTorch refuses while one is made. */
std::shared_mutex& recording_mutex();

}  // namespace mactok
