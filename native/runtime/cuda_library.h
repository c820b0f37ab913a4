#pragma once

#include "runtime/torch.h"

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cuda/interface.h"

namespace mactok {

/** Why libmactok_cuda is not loaded; empty when it is, and without CUDA. */
std::string cuda_library_problem();

/** 90 for sm_90; 0 without libmactok_cuda, which has to ask the driver. */
int compute_capability(c10::DeviceIndex device);

/** A CUDA device's memory; none for the CPU, and without libmactok_cuda beside the addon. */
std::optional<CudaMemory> device_memory(at::Device device);

/** Returns memory that is cached but unused to the system (CPU, Linux) or to the driver (CUDA). */
void release_free_memory(at::Device device) noexcept;

/**
 * Copies a host tensor to the device: through pinned memory on a side stream with libmactok_cuda,
 * else by LibTorch's own copy. Returns the tensor itself if it is there already.
 */
at::Tensor upload(const at::Tensor& tensor, at::Device device);

/** Replaces each defined tensor by `upload` of it. */
void upload_all(const std::vector<at::Tensor*>& tensors, at::Device device);

/** LibTorch's NCCL backend, see CudaInterface. Throws without libmactok_cuda beside the addon. */
c10::intrusive_ptr<c10d::Backend> open_nccl(const c10::intrusive_ptr<c10d::Store>& store, int rank,
                                            int size, at::Device device,
                                            std::chrono::milliseconds timeout);

/** A CUDA graph. */
class CudaGraph {
 public:
  CudaGraph(const CudaInterface& cuda, at::Device device);
  ~CudaGraph();
  CudaGraph(const CudaGraph&) = delete;
  CudaGraph& operator=(const CudaGraph&) = delete;

  /**
   * Sends the thread's work to the graphs' stream; with `record` it is recorded instead of run. Its
   * destructor throws if recording failed, and drops the recording if an exception ends it.
   */
  class Scope {
   public:
    Scope(CudaGraph& graph, bool record);
    ~Scope() noexcept(false);
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    CudaGraph& graph_;
    int unwinding_;
  };

  /** Launches the recorded work on the current stream. */
  void replay();

 private:
  const CudaInterface& cuda_;
  void* graph_ = nullptr;
};

/** Throws without libmactok_cuda beside the addon. */
std::shared_ptr<CudaGraph> open_cuda_graph(at::Device device);

}  // namespace mactok
