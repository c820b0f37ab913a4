#include "cuda/graph.h"

#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAGuard.h>

#include <exception>
#include <map>
#include <mutex>
#include <utility>

#include "cuda/device.h"

namespace mactok {
namespace {

namespace allocator = c10::cuda::CUDACachingAllocator;

/** One for all graphs of a device: LibTorch uses freed memory again only on the same stream. */
c10::cuda::CUDAStream graph_stream(c10::DeviceIndex device) {
  static std::mutex mutex;
  static std::map<c10::DeviceIndex, c10::cuda::CUDAStream> streams;
  const std::lock_guard lock(mutex);
  const auto found = streams.find(device);
  return found != streams.end() ? found->second
                                : streams.emplace(device, make_stream(device)).first->second;
}

std::shared_ptr<GraphPool> graph_pool(c10::DeviceIndex device) {
  static std::mutex mutex;
  static std::map<c10::DeviceIndex, std::weak_ptr<GraphPool>> pools;
  const std::lock_guard lock(mutex);
  auto pool = pools[device].lock();
  if (!pool) pools[device] = pool = std::make_shared<GraphPool>(device);
  return pool;
}

}  // namespace

GraphPool::GraphPool(c10::DeviceIndex device) : device(device), id(at::cuda::graph_pool_handle()) {
  // LibTorch refuses a pool that has lost all its graphs.
  allocator::createOrIncrefPool(device, id);
}

GraphPool::~GraphPool() {
  try {
    allocator::releasePool(device, id);
  } catch (...) {
    // Its memory is lost to the process, which can go on.
  }
}

int GraphPool::users() const { return allocator::getPoolUseCount(device, id); }

Graph::Graph(c10::DeviceIndex device)
    : stream_(graph_stream(device)), outside_(stream_), pool_(graph_pool(device)) {}

void Graph::enter(bool record) {
  outside_ = c10::cuda::getCurrentCUDAStream(stream_.device_index());
  make_wait(stream_, /*before=*/outside_);
  c10::cuda::setCurrentCUDAStream(stream_);
  if (!record) return;
  try {
    begin_recording();
  } catch (...) {
    c10::cuda::setCurrentCUDAStream(outside_);
    throw;
  }
}

void Graph::leave(bool keep) {
  std::exception_ptr problem;
  try {
    if (recording_) end_recording(keep);
  } catch (...) {
    problem = std::current_exception();
  }
  c10::cuda::setCurrentCUDAStream(outside_);
  try {
    make_wait(outside_, /*before=*/stream_);
  } catch (...) {
    if (!problem) problem = std::current_exception();
  }
  if (keep && problem) std::rethrow_exception(problem);
}

void Graph::begin_recording() {
  pool_users_ = pool_->users();
  // The graph proper is kept, so that a dropped recording costs no instantiation.
  graph_ = std::make_unique<at::cuda::CUDAGraph>(/*keep_graph=*/true);
  recording_mutex().lock_shared();
  try {
    // Other threads may continue to allocate and copy.
    graph_->capture_begin(pool_->id, cudaStreamCaptureModeThreadLocal);
  } catch (...) {
    recording_mutex().unlock_shared();
    abandon();
    throw;
  }
  recording_ = true;
}

void Graph::end_recording(bool keep) {
  recording_ = false;
  try {
    graph_->capture_end();
  } catch (...) {
    recording_mutex().unlock_shared();
    abandon();
    throw;
  }
  recording_mutex().unlock_shared();
  try {
    if (keep) return graph_->instantiate();
  } catch (...) {
    graph_.reset();
    throw;
  }
  graph_.reset();
}

void Graph::abandon() noexcept {
  try {
    allocator::endAllocateToPool(pool_->device, pool_->id);
  } catch (...) {
    // It had ended.
  }
  try {
    while (pool_->users() > pool_users_) allocator::releasePool(pool_->device, pool_->id);
  } catch (...) {
    // The pool's memory is lost to the process, which can go on.
  }
  // Leaked, because LibTorch's allocators may still call back into it.
  static_cast<void>(graph_.release());
}

}  // namespace mactok
