#include "cuda/interface.h"

#include <ATen/core/CachingHostAllocator.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <cuda_runtime_api.h>

#include <mutex>

#include "cuda/device.h"
#include "cuda/graph.h"
#include "cuda/nccl.h"
#include "cuda/uploads.h"

namespace mactok {
namespace {

CudaMemory memory(at::Device device) {
  using c10::CachingAllocator::StatType;
  constexpr auto all = static_cast<size_t>(StatType::AGGREGATE);
  const c10::cuda::CUDAGuard guard(device);
  size_t free = 0;
  size_t total = 0;
  C10_CUDA_CHECK(cudaMemGetInfo(&free, &total));
  const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(device.index());
  return {.allocated = stats.allocated_bytes[all].current,
          .peak_allocated = stats.allocated_bytes[all].peak,
          .reserved = stats.reserved_bytes[all].current,
          .free = static_cast<int64_t>(free),
          .total = static_cast<int64_t>(total)};
}

void release_free(at::Device device) {
  const std::lock_guard no_recording(recording_mutex());
  release_uploads(device);
  c10::cuda::CUDACachingAllocator::emptyCache();
  at::getHostAllocator(at::kCUDA)->empty_cache();
}

int compute_capability(at::Device device) {
  int major = 0;
  int minor = 0;
  C10_CUDA_CHECK(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device.index()));
  C10_CUDA_CHECK(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device.index()));
  return 10 * major + minor;
}

void* graph_open(at::Device device) { return new Graph(device.index()); }
void graph_enter(void* graph, bool record) { static_cast<Graph*>(graph)->enter(record); }
void graph_leave(void* graph, bool keep) { static_cast<Graph*>(graph)->leave(keep); }
void graph_replay(void* graph) { static_cast<Graph*>(graph)->replay(); }
void graph_close(void* graph) { delete static_cast<Graph*>(graph); }

}  // namespace
}  // namespace mactok

const mactok::CudaInterface* mactok_cuda() {
  static constexpr mactok::CudaInterface table{.memory = mactok::memory,
                                               .upload = mactok::upload,
                                               .release_free = mactok::release_free,
                                               .graph_open = mactok::graph_open,
                                               .graph_enter = mactok::graph_enter,
                                               .graph_leave = mactok::graph_leave,
                                               .graph_replay = mactok::graph_replay,
                                               .graph_close = mactok::graph_close,
                                               .compute_capability = mactok::compute_capability,
                                               .open_nccl = mactok::open_nccl};
  return &table;
}
