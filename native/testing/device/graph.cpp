#include "testing/device/graph.h"

#include <c10/util/Exception.h>

#include <array>
#include <utility>

#include "testing/device/counters.h"

namespace mactok::stand_in {
namespace {

/** Makes `stream` wait for the queued work of `before`. */
void make_wait(size_t stream, size_t before) {
  const StateLock lock(state_mutex());
  wait_on_device(stream, clock_of(before));
}

size_t graph_stream(int device) {
  static const std::array<size_t, kDevices> streams{open_stream(0), open_stream(1)};
  return streams.at(static_cast<size_t>(device));
}

std::shared_ptr<GraphPool> graph_pool(int device) {
  static std::array<std::weak_ptr<GraphPool>, kDevices> pools;
  const StateLock lock(state_mutex());
  auto& known = pools.at(static_cast<size_t>(device));
  auto pool = known.lock();
  if (!pool) known = pool = std::make_shared<GraphPool>();
  return pool;
}

}  // namespace

Graph::Graph(int device)
    : device_(device), stream_(graph_stream(device)), pool_(graph_pool(device)) {}

void Graph::enter(bool record) {
  outside_ = current_stream(device_);
  make_wait(stream_, outside_);
  set_current_stream(device_, stream_);
  if (!record) return;
  recorder_ = std::make_unique<Recorder>(pool_->id);
  set_recorder(stream_, recorder_.get());
}

void Graph::leave(bool keep) {
  set_current_stream(device_, outside_);
  if (const auto recorder = std::exchange(recorder_, nullptr)) {
    set_recorder(stream_, nullptr);
    auto calls = recorder->finish();
    if (keep) calls_ = std::move(calls);
  }
  make_wait(outside_, stream_);
}

void Graph::replay() {
  const size_t stream = current_stream(device_);
  TORCH_CHECK(!calls_.empty(), "Called CUDAGraph::replay without a preceding successful capture.");
  for (const auto& call : calls_) {
    Work work(stream, call.name);
    for (const auto& use : call.uses) work.use(use, pool_->id);
    call.repeat();
  }
  count_replay(static_cast<int64_t>(calls_.size()));
}

}  // namespace mactok::stand_in
