// What libmactok_cuda exports, of this device, and what tests control.

#include <ATen/ops/empty.h>
#include <c10/core/Event.h>
#include <c10/core/StreamGuard.h>

#include <array>

#include "cuda/interface.h"
#include "testing/device/allocator.h"
#include "testing/device/counters.h"
#include "testing/device/faults.h"
#include "testing/device/graph.h"
#include "testing/device/interface.h"
#include "testing/device/streams.h"

namespace mactok::stand_in {
namespace {

size_t upload_stream(int device) {
  static const std::array<size_t, kDevices> streams{open_stream(0), open_stream(1)};
  return streams.at(static_cast<size_t>(device));
}

CudaMemory memory(at::Device device) { return device_memory(device.index()); }

at::Tensor upload(const at::Tensor& source, at::Device device) {
  const auto current = to_stream(current_stream(device.index()));
  const auto side = to_stream(upload_stream(device.index()));
  const auto pinned = at::empty(source.sizes(), source.options().pinned_memory(true)).copy_(source);
  at::Tensor result;
  c10::Event copied(c10::kCUDA);
  {
    const c10::StreamGuard on_side(side);
    result = pinned.to(device, /*non_blocking=*/true);
    copied.record(side);
  }
  copied.block(current);
  result.record_stream(current);
  return result;
}

void release_free(at::Device device) { empty_cache(device.index()); }

void* graph_open(at::Device device) { return new Graph(device.index()); }

void graph_enter(void* graph, bool record) { static_cast<Graph*>(graph)->enter(record); }

void graph_leave(void* graph, bool keep) { static_cast<Graph*>(graph)->leave(keep); }

void graph_replay(void* graph) { static_cast<Graph*>(graph)->replay(); }

void graph_close(void* graph) { delete static_cast<Graph*>(graph); }

int compute_capability(at::Device) { return 90; }

}  // namespace
}  // namespace mactok::stand_in

const mactok::CudaInterface* mactok_cuda() {
  using namespace mactok::stand_in;
  static constexpr mactok::CudaInterface table{.memory = memory,
                                               .upload = upload,
                                               .release_free = release_free,
                                               .graph_open = graph_open,
                                               .graph_enter = graph_enter,
                                               .graph_leave = graph_leave,
                                               .graph_replay = graph_replay,
                                               .graph_close = graph_close,
                                               .compute_capability = compute_capability,
                                               .open_nccl = nullptr};
  return &table;
}

const mactok::stand_in::Control* mactok_stand_in() {
  using namespace mactok::stand_in;
  static constexpr Control control{.take_counts = take_counts,
                                   .take_faults = take_faults,
                                   .fail_allocation = fail_allocation,
                                   .limit_memory = limit_memory,
                                   .fail_operation = fail_operation,
                                   .recover = recover};
  return &control;
}
