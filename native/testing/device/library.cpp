// What libmactok_cuda exports, of this device, and what tests control.

#include <ATen/ops/empty.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/Event.h>
#include <c10/core/StreamGuard.h>

#include <array>
#include <exception>
#include <string>

#include "cuda/interface.h"
#include "testing/device/allocator.h"
#include "testing/device/counters.h"
#include "testing/device/faults.h"
#include "testing/device/graph.h"
#include "testing/device/interface.h"
#include "testing/device/streams.h"

namespace mactok::stand_in {
namespace {

/** No exception crosses the interface of libmactok_cuda. */
template <typename Body>
const char* guarded(Body body) {
  thread_local std::string problem;
  try {
    body();
    return nullptr;
  } catch (const c10::Error& error) {
    problem = error.what_without_backtrace();
  } catch (const std::exception& error) {
    problem = error.what();
  }
  return problem.c_str();
}

size_t upload_stream(int device) {
  static const std::array<size_t, kDevices> streams{open_stream(0), open_stream(1)};
  return streams.at(static_cast<size_t>(device));
}

at::Tensor upload_beside(const at::Tensor& source, int device) {
  const c10::Device where(c10::kCUDA, static_cast<c10::DeviceIndex>(device));
  const auto current = to_stream(current_stream(device));
  const auto side = to_stream(upload_stream(device));
  const auto pinned = at::empty(source.sizes(), source.options().pinned_memory(true)).copy_(source);
  at::Tensor result;
  c10::Event copied(c10::kCUDA);
  {
    const c10::StreamGuard on_side(side);
    result = pinned.to(where, /*non_blocking=*/true);
    copied.record(side);
  }
  copied.block(current);
  result.record_stream(current);
  return result;
}

const char* memory(int device, CudaMemory* result) {
  return guarded([&] { *result = device_memory(device); });
}

const char* upload(const at::Tensor* source, int device, at::Tensor* result) {
  return guarded([&] { *result = upload_beside(*source, device); });
}

const char* graph_open(int device, void** graph) {
  return guarded([&] { *graph = new Graph(device); });
}

const char* graph_enter(void* graph, bool record) {
  return guarded([&] { static_cast<Graph*>(graph)->enter(record); });
}

const char* graph_leave(void* graph) {
  return guarded([&] { static_cast<Graph*>(graph)->leave(/*keep=*/true); });
}

const char* graph_replay(void* graph) {
  return guarded([&] { static_cast<Graph*>(graph)->replay(); });
}

void graph_close(void* graph) { delete static_cast<Graph*>(graph); }

}  // namespace
}  // namespace mactok::stand_in

const mactok::CudaInterface* mactok_cuda() {
  using namespace mactok::stand_in;
  static constexpr mactok::CudaInterface table{.memory = memory,
                                               .upload = upload,
                                               .graph_open = graph_open,
                                               .graph_enter = graph_enter,
                                               .graph_leave = graph_leave,
                                               .graph_replay = graph_replay,
                                               .graph_close = graph_close};
  return &table;
}

const mactok::stand_in::Control* mactok_stand_in() {
  using namespace mactok::stand_in;
  static constexpr Control control{.take_counts = take_counts,
                                   .take_faults = take_faults,
                                   .fail_allocation = fail_allocation,
                                   .fail_operation = fail_operation,
                                   .recover = recover};
  return &control;
}
