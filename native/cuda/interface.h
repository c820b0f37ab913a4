#pragma once

#include <ATen/core/Tensor.h>
#include <c10/macros/Export.h>

#include <cstdint>

namespace mactok {

/** A device's memory in bytes: what this process's tensors have and had at most, what LibTorch holds for them, and the driver's view. */
struct CudaMemory {
  int64_t allocated;
  int64_t peak_allocated;
  int64_t reserved;
  int64_t free;
  int64_t total;
};

/**
 * What libmactok_cuda offers. It is a library of its own because it names CUDA's libraries, which few machines have; the addon
 * asks for this table at run time. Every function returns nullptr, or what went wrong, valid until the thread's next call.
 */
struct CudaInterface {
  const char* (*memory)(int device, CudaMemory* result);
  /**
   * Copies a host tensor to the device on a side stream, through pinned memory, while the current stream computes; the current
   * stream waits for the copy where it uses the result. The source may change as soon as this returns.
   */
  const char* (*upload)(const at::Tensor* source, int device, at::Tensor* result);

  /** A CUDA graph with a stream of its own. */
  const char* (*graph_open)(int device, void** graph);
  /**
   * From here to graph_leave the thread's work goes to the graph's stream, after what the current stream has to do; with `record` it
   * is recorded instead of run, and the graph keeps its memory.
   */
  const char* (*graph_enter)(void* graph, bool record);
  const char* (*graph_leave)(void* graph);
  /** Starts what was recorded, on the current stream. */
  const char* (*graph_replay)(void* graph);
  void (*graph_close)(void* graph);
};

}  // namespace mactok

/** The one symbol of libmactok_cuda. */
extern "C" C10_EXPORT const mactok::CudaInterface* mactok_cuda();
