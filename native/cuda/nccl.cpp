#include "cuda/nccl.h"

#include <c10/cuda/CUDAGuard.h>

#include <cstdlib>
#ifdef USE_C10D_NCCL
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>
#endif

namespace mactok {

#ifdef USE_C10D_NCCL

c10::intrusive_ptr<c10d::Backend> open_nccl(const c10::intrusive_ptr<c10d::Store>& store, int rank,
                                            int size, at::Device device,
                                            std::chrono::milliseconds timeout) {
  // 2, CleanUpOnly: by default the watchdog ends the process, with no time for an error.
  setenv("TORCH_NCCL_ASYNC_ERROR_HANDLING", "2", /*overwrite=*/0);
  const c10::cuda::CUDAGuard guard(device);
  auto options = c10d::ProcessGroupNCCL::Options::create();
  options->timeout = timeout;
  auto backend = c10::make_intrusive<c10d::ProcessGroupNCCL>(store, rank, size, options);
  backend->eagerConnectSingleDevice(device);
  return backend;
}

#else

c10::intrusive_ptr<c10d::Backend> open_nccl(const c10::intrusive_ptr<c10d::Store>&, int, int,
                                            at::Device, std::chrono::milliseconds) {
  TORCH_CHECK(false,
              "libmactok_cuda was built without NCCL's headers, so CUDA devices cannot train "
              "together; `npm run build:cuda` fetches them");
}

#endif

}  // namespace mactok
