#pragma once

#include <ATen/core/Tensor.h>
#include <c10/macros/Export.h>

#include <cstdint>

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
 * which few machines have; the addon loads this table at run time. Every function returns nullptr,
 * or an error message that is valid until the thread's next call.
 */
struct CudaInterface {
  const char* (*memory)(int device, CudaMemory* result);
  /**
   * Copies a host tensor to the device through pinned memory, on a side stream while the current
   * stream computes; the current stream waits for the copy. The source may change as soon as this
   * returns.
   */
  const char* (*upload)(const at::Tensor* source, int device, at::Tensor* result);

  /** Creates a CUDA graph with a stream of its own. */
  const char* (*graph_open)(int device, void** graph);
  /**
   * Until graph_leave the thread's work goes to the graph's stream, after the current stream's
   * queued work; with `record` it is recorded instead of run, and the graph keeps its memory.
   */
  const char* (*graph_enter)(void* graph, bool record);
  const char* (*graph_leave)(void* graph);
  /** Launches the recorded work on the current stream. */
  const char* (*graph_replay)(void* graph);
  void (*graph_close)(void* graph);

  /** 90 for sm_90. */
  const char* (*compute_capability)(int device, int* result) = nullptr;
};

}  // namespace mactok

/** The one symbol of libmactok_cuda. */
extern "C" C10_EXPORT const mactok::CudaInterface* mactok_cuda();
