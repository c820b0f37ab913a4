#include "cuda/interface.h"

#include <ATen/cuda/CUDAGraph.h>
#include <ATen/ops/empty.h>
#include <c10/core/Event.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime_api.h>

#include <exception>
#include <string>
#include <utility>

namespace mactok {
namespace {

/** No exception crosses the C interface. */
template <typename Body>
const char* guarded(Body body) {
  thread_local std::string problem;
  try {
    body();
    return nullptr;
  } catch (const c10::Error& error) {
    problem = error.what_without_backtrace();
  } catch (const std::exception& error) {
    problem = error.what();
  }
  return problem.c_str();
}

c10::DeviceIndex index(int device) { return static_cast<c10::DeviceIndex>(device); }

const char* memory(int device, CudaMemory* result) {
  return guarded([&] {
    using c10::CachingAllocator::StatType;
    constexpr auto all = static_cast<size_t>(StatType::AGGREGATE);
    const c10::cuda::CUDAGuard guard(index(device));
    size_t free = 0;
    size_t total = 0;
    C10_CUDA_CHECK(cudaMemGetInfo(&free, &total));
    const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(index(device));
    *result = {.allocated = stats.allocated_bytes[all].current,
               .peak_allocated = stats.allocated_bytes[all].peak,
               .reserved = stats.reserved_bytes[all].current,
               .free = static_cast<int64_t>(free),
               .total = static_cast<int64_t>(total)};
  });
}

const char* upload(const at::Tensor* source, int device, at::Tensor* result) {
  return guarded([&] {
    const c10::cuda::CUDAGuard guard(index(device));
    const auto current = c10::cuda::getCurrentCUDAStream();
    const auto side = c10::cuda::getStreamFromPool();
    const auto pinned =
        at::empty(source->sizes(), source->options().pinned_memory(true)).copy_(*source);
    c10::Event copied(c10::DeviceType::CUDA);
    {
      const c10::cuda::CUDAStreamGuard on_side(side);
      *result = pinned.to(at::Device(at::kCUDA, index(device)), /*non_blocking=*/true);
      copied.record(side);
    }
    copied.block(current);
    // Allocated on the side stream: its memory must outlive the current stream's use.
    result->record_stream(current);
  });
}

struct Graph {
  explicit Graph(c10::DeviceIndex device)
      : side(c10::cuda::getStreamFromPool(/*isHighPriority=*/false, device)), outside(side) {}

  c10::cuda::CUDAStream side, outside;
  at::cuda::CUDAGraph graph;
  bool recording = false;
};

/** Makes `stream` wait for the queued work of `before`. */
void make_wait(const c10::cuda::CUDAStream& stream, const c10::cuda::CUDAStream& before) {
  c10::Event event(c10::DeviceType::CUDA);
  event.record(before);
  event.block(stream);
}

const char* graph_open(int device, void** graph) {
  return guarded([&] {
    const c10::cuda::CUDAGuard guard(index(device));
    *graph = new Graph(index(device));
  });
}

const char* graph_enter(void* graph, bool record) {
  return guarded([&] {
    auto& self = *static_cast<Graph*>(graph);
    self.outside = c10::cuda::getCurrentCUDAStream(self.side.device_index());
    make_wait(self.side, /*before=*/self.outside);
    c10::cuda::setCurrentCUDAStream(self.side);
    if (!record) return;
    try {
      // Other threads may continue to allocate and copy.
      self.graph.capture_begin({0, 0}, cudaStreamCaptureModeThreadLocal);
      self.recording = true;
    } catch (...) {
      c10::cuda::setCurrentCUDAStream(self.outside);
      throw;
    }
  });
}

const char* graph_leave(void* graph) {
  return guarded([&] {
    auto& self = *static_cast<Graph*>(graph);
    const bool recording = std::exchange(self.recording, false);
    try {
      if (recording) self.graph.capture_end();
    } catch (...) {
      c10::cuda::setCurrentCUDAStream(self.outside);
      throw;
    }
    c10::cuda::setCurrentCUDAStream(self.outside);
    make_wait(self.outside, /*before=*/self.side);
  });
}

const char* graph_replay(void* graph) {
  return guarded([&] { static_cast<Graph*>(graph)->graph.replay(); });
}

const char* compute_capability(int device, int* result) {
  return guarded([&] {
    int major = 0;
    int minor = 0;
    C10_CUDA_CHECK(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device));
    C10_CUDA_CHECK(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device));
    *result = 10 * major + minor;
  });
}

void graph_close(void* graph) { delete static_cast<Graph*>(graph); }

}  // namespace
}  // namespace mactok

const mactok::CudaInterface* mactok_cuda() {
  static constexpr mactok::CudaInterface table{.memory = mactok::memory,
                                               .upload = mactok::upload,
                                               .graph_open = mactok::graph_open,
                                               .graph_enter = mactok::graph_enter,
                                               .graph_leave = mactok::graph_leave,
                                               .graph_replay = mactok::graph_replay,
                                               .graph_close = mactok::graph_close,
                                               .compute_capability = mactok::compute_capability};
  return &table;
}
