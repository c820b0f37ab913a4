#pragma once

#include "runtime/torch.h"

#include <memory>
#include <optional>
#include <vector>

#include "cuda/interface.h"

namespace mactok {

/** A CUDA device's memory; nothing for the CPU, and where libmactok_cuda is not beside the addon. */
std::optional<CudaMemory> device_memory(at::Device device);

/**
 * A host tensor on the device: through pinned memory on a side stream where libmactok_cuda is beside the addon, else by LibTorch's
 * own copy. The tensor itself when it is there already.
 */
at::Tensor upload(const at::Tensor& tensor, at::Device device);

/** Replaces each defined tensor by `upload` of it. */
void upload_all(const std::vector<at::Tensor*>& tensors, at::Device device);

/** A CUDA graph, and the stream on which it is recorded. */
class CudaGraph {
 public:
  CudaGraph(const CudaInterface& cuda, at::Device device);
  ~CudaGraph();
  CudaGraph(const CudaGraph&) = delete;
  CudaGraph& operator=(const CudaGraph&) = delete;

  /** While it lives, the thread's work goes to the graph's stream: recorded instead of run, if `record`. Throws where it ends badly. */
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

  /** Starts what was recorded, on the current stream. */
  void replay();

 private:
  const CudaInterface& cuda_;
  void* graph_ = nullptr;
};

/** Throws where libmactok_cuda is not beside the addon. */
std::shared_ptr<CudaGraph> open_cuda_graph(at::Device device);

}  // namespace mactok
