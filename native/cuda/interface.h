#pragma once

#include <ATen/core/Tensor.h>
#include <c10/macros/Export.h>

#include <chrono>
#include <cstdint>
#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>

namespace mactok {

/** A device's memory in bytes. */
struct CudaMemory {
  /** Held by this process's tensors, now and at most. */
  int64_t allocated;
  int64_t peak_allocated;
  /** Held by LibTorch's caching allocator. */
  int64_t reserved;
  /** Of the whole device, as the driver reports it. */
  int64_t free;
  int64_t total;
};

/**
 * The functions of libmactok_cuda. It is a separate library because it depends on CUDA's libraries,
 * which few machines have; the addon loads this table at run time. They throw LibTorch's exceptions
 * where nothing else is said: both libraries are built by one compiler against one LibTorch.
 */
struct CudaInterface {
  CudaMemory (*memory)(at::Device device);

  /**
   * Copies a host tensor to the device through pinned memory, on the device's upload stream while
   * the current stream computes; the current stream waits for the copy. The source may change as
   * soon as this returns. The result may be read on the current stream and on those that wait for
   * it; its memory is not used again before they have read it.
   */
  at::Tensor (*upload)(const at::Tensor& source, at::Device device);

  /** Returns memory that no tensor and no graph uses to the driver, pinned memory too. */
  void (*release_free)(at::Device device);

  /**
   * Creates a CUDA graph. A device's graphs share one stream, which nothing else uses, and one pool
   * of memory: they run one after another, and what one computes is read before the next one runs.
   */
  void* (*graph_open)(at::Device device);

  /**
   * Until graph_leave the thread's work goes to the graphs' stream, after the current stream's
   * queued work; with `record` it is recorded instead of run, and the graph keeps its memory.
   */
  void (*graph_enter)(void* graph, bool record);

  /**
   * The current stream is again the one before graph_enter, and waits for the graphs' stream. With
   * `keep` a recording is ready to replay; without, it is dropped and nothing is thrown.
   */
  void (*graph_leave)(void* graph, bool keep);

  /** Launches the recorded work on the current stream. */
  void (*graph_replay)(void* graph);

  /** Never throws. */
  void (*graph_close)(void* graph);

  /** 90 for sm_90. */
  int (*compute_capability)(at::Device device);

  /**
   * LibTorch's NCCL backend of a job's ranks, which meet at the store. A reduction that takes longer
   * than the timeout is aborted.
   */
  c10::intrusive_ptr<c10d::Backend> (*open_nccl)(const c10::intrusive_ptr<c10d::Store>& store,
                                                 int rank, int size, at::Device device,
                                                 std::chrono::milliseconds timeout);
};

}  // namespace mactok

/** The one symbol of libmactok_cuda. */
extern "C" C10_EXPORT const mactok::CudaInterface* mactok_cuda();
