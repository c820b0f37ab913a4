#include "cuda/uploads.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <cuda_runtime_api.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "cuda/device.h"

namespace mactok {
namespace {

constexpr size_t kLeastBuffer = 4096;

/**
 * A device's uploads. It tracks itself who still reads what. LibTorch's way, `record_stream`, calls
 * CUDA when a tensor is freed, where an error such as a lost device ends the process.
 */
class Uploads {
 public:
  explicit Uploads(at::Device device) : device_(device), stream_(make_stream(device.index())) {}

  at::Tensor copy(const at::Tensor& source) {
    const std::lock_guard lock(mutex_);
    const c10::cuda::CUDAGuard guard(device_);
    const auto current = c10::cuda::getCurrentCUDAStream(device_.index());
    free_read();
    const c10::cuda::CUDAStreamGuard on_stream(stream_);
    const auto result = at::empty(source.sizes(), source.options().device(device_));
    if (result.nbytes() == 0) return result;
    auto& buffer = find_buffer(result.nbytes());
    at::from_blob(buffer.bytes.data_ptr(), source.sizes(), source.options()).copy_(source);
    C10_CUDA_CHECK(cudaMemcpyAsync(result.data_ptr(), buffer.bytes.data_ptr(), result.nbytes(),
                                   cudaMemcpyHostToDevice, stream_.stream()));
    buffer.copied.record(stream_);
    buffer.copied.block(current);
    held_.push_back(result);
    return result;
  }

  void release() {
    const c10::cuda::CUDAGuard guard(device_);
    {
      const std::lock_guard lock(mutex_);
      free_read();
    }
    // Without the lock: `copy` may be called meanwhile by a thread that must not wait for the device.
    c10::cuda::getDefaultCUDAStream(device_.index()).synchronize();
    const std::lock_guard lock(mutex_);
    free_read();
    std::erase_if(buffers_, [](const Buffer& buffer) { return buffer.copied.query(); });
  }

 private:
  /** Pinned memory, free again once it is copied. */
  struct Buffer {
    at::Tensor bytes;
    c10::Event copied;
  };

  /** Results that nobody holds any more, and an event that follows their last readers. */
  struct Read {
    std::vector<at::Tensor> results;
    c10::Event done;
  };

  Buffer& find_buffer(size_t bytes) {
    const size_t size = std::bit_ceil(std::max(bytes, kLeastBuffer));
    for (auto& buffer : buffers_) {
      if (buffer.bytes.nbytes() == size && buffer.copied.query()) return buffer;
    }
    const auto options = at::TensorOptions().dtype(at::kByte).pinned_memory(true);
    buffers_.push_back({.bytes = at::empty({static_cast<int64_t>(size)}, options),
                        .copied = c10::Event(c10::DeviceType::CUDA)});
    return buffers_.back();
  }

  /** Frees results once nobody holds them and the device has done what was queued until then. */
  void free_read() {
    const auto is_held = [](const at::Tensor& result) {
      // Views share the storage.
      return result.use_count() > 1 || result.storage().use_count() > 1;
    };
    const auto unheld = std::partition(held_.begin(), held_.end(), is_held);
    if (unheld != held_.end()) {
      std::atomic_thread_fence(std::memory_order_acquire);
      Read read{.results = {unheld, held_.end()}, .done = c10::Event(c10::DeviceType::CUDA)};
      read.done.record(c10::cuda::getDefaultCUDAStream(device_.index()));
      held_.erase(unheld, held_.end());
      read_.push_back(std::move(read));
    }
    while (!read_.empty() && read_.front().done.query()) read_.pop_front();
  }

  std::mutex mutex_;
  at::Device device_;
  c10::cuda::CUDAStream stream_;
  std::vector<Buffer> buffers_;
  /** Results that others may hold. */
  std::vector<at::Tensor> held_;
  /** In the order of their events. */
  std::deque<Read> read_;
};

Uploads& uploads(at::Device device) {
  static std::mutex mutex;
  // Never deleted, because CUDA may be gone when the process ends.
  static auto& all = *new std::map<c10::DeviceIndex, std::unique_ptr<Uploads>>;
  const std::lock_guard lock(mutex);
  auto& found = all[device.index()];
  if (!found) found = std::make_unique<Uploads>(device);
  return *found;
}

}  // namespace

at::Tensor upload(const at::Tensor& source, at::Device device) {
  return uploads(device).copy(source);
}

void release_uploads(at::Device device) { uploads(device).release(); }

}  // namespace mactok
