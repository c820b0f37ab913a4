#include "cuda/device.h"

#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <cuda_runtime_api.h>

namespace mactok {

c10::cuda::CUDAStream make_stream(c10::DeviceIndex device) {
  const c10::cuda::CUDAGuard guard(device);
  cudaStream_t stream = nullptr;
  // A blocking one would wait for the default stream, where most work runs.
  C10_CUDA_CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  return c10::cuda::getStreamFromExternal(stream, device);
}

void make_wait(const c10::cuda::CUDAStream& stream, const c10::cuda::CUDAStream& before) {
  c10::Event event(c10::DeviceType::CUDA);
  event.record(before);
  event.block(stream);
}

std::shared_mutex& recording_mutex() {
  static std::shared_mutex mutex;
  return mutex;
}

}  // namespace mactok
