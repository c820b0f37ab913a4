#pragma once

#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDAStream.h>

#include <memory>

namespace mactok {

/** The memory of a device's graphs. LibTorch can return it when the last of them is gone. */
struct GraphPool {
  explicit GraphPool(c10::DeviceIndex device);
  ~GraphPool();
  GraphPool(const GraphPool&) = delete;
  GraphPool& operator=(const GraphPool&) = delete;

  /** Graphs and others that use it. */
  int users() const;

  c10::DeviceIndex device;
  c10::MempoolId_t id;
};

/** See CudaInterface. */
class Graph {
 public:
  explicit Graph(c10::DeviceIndex device);

  void enter(bool record);
  void leave(bool keep);
  void replay() { graph_->replay(); }

 private:
  void begin_recording();
  /** Throws unless the recording is complete. */
  void end_recording(bool keep);
  /** Makes the allocator usable again after LibTorch has failed to begin or end a recording. */
  void abandon() noexcept;

  /** The graphs' stream, and the current one before `enter`. */
  c10::cuda::CUDAStream stream_, outside_;
  std::shared_ptr<GraphPool> pool_;
  /** After the pool, so that it is destroyed before it. */
  std::unique_ptr<at::cuda::CUDAGraph> graph_;
  int pool_users_ = 0;
  bool recording_ = false;
};

}  // namespace mactok
