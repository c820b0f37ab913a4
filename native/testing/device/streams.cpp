#include "testing/device/streams.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <numeric>

#include "testing/device/counters.h"
#include "testing/device/faults.h"

namespace mactok::stand_in {
namespace {

struct StreamState {
  int device;
  Clock clock;
  Recorder* recorder = nullptr;
  bool open = true;
};

struct Streams {
  Streams() {
    for (int device = 0; device < kDevices; ++device) all.push_back({device, {}});
  }

  std::vector<StreamState> all;
  /** What the host knows to have happened, through any of its threads. */
  Clock host;
  int64_t launched = 0;
  int64_t known_done = 0;
};

Streams& streams() {
  static auto& instance = *new Streams;
  return instance;
}

thread_local int thread_device = 0;
thread_local size_t thread_streams[kDevices] = {0, 1};

int64_t entry(const Clock& clock, size_t stream) {
  return stream < clock.size() ? clock[stream] : 0;
}

void join(Clock& clock, const Clock& other) {
  if (clock.size() < other.size()) clock.resize(other.size());
  for (size_t i = 0; i < other.size(); ++i) clock[i] = std::max(clock[i], other[i]);
}

void host_waits_for(const Clock& clock) {
  auto& known = streams();
  surface_asynchronous_error();
  join(known.host, clock);
  known.known_done = std::accumulate(known.host.begin(), known.host.end(), int64_t{0});
}

}  // namespace

bool has_happened(const Stamp& work, const Clock& clock) {
  return work.tick <= entry(clock, work.stream);
}

int current_device() { return thread_device; }

void set_current_device(int device) {
  TORCH_CHECK(device >= 0 && device < kDevices, "CUDA error: invalid device ordinal ", device);
  thread_device = device;
}

size_t current_stream(int device) { return thread_streams[device]; }

void set_current_stream(int device, size_t stream) { thread_streams[device] = stream; }

c10::Stream to_stream(size_t stream) {
  const StateLock lock(state_mutex());
  const auto device = static_cast<c10::DeviceIndex>(streams().all.at(stream).device);
  // LibTorch takes 0 for the default stream of any device.
  const auto id = stream < kDevices ? 0 : static_cast<c10::StreamId>(stream);
  return c10::Stream(c10::Stream::UNSAFE, c10::Device(c10::kCUDA, device), id);
}

size_t from_stream(const c10::Stream& stream) {
  return static_cast<size_t>(stream.id() == 0 ? stream.device_index() : stream.id());
}

size_t open_stream(int device) {
  const StateLock lock(state_mutex());
  auto& all = streams().all;
  for (size_t i = kDevices; i < all.size(); ++i) {
    if (all[i].open || all[i].device != device) continue;
    all[i].open = true;
    return i;
  }
  all.push_back({device, {}});
  return all.size() - 1;
}

void close_stream(size_t stream) {
  const StateLock lock(state_mutex());
  streams().all.at(stream).open = false;
}

Stamp launch(size_t stream) {
  const StateLock lock(state_mutex());
  refuse_after_error();
  count_down_to_error();
  auto& known = streams();
  auto& clock = known.all.at(stream).clock;
  join(clock, known.host);
  if (clock.size() <= stream) clock.resize(stream + 1);
  ++known.launched;
  count_run_ahead(known.launched - known.known_done);
  return {stream, ++clock[stream]};
}

const Clock& clock_of(size_t stream) { return streams().all.at(stream).clock; }

void wait_on_device(size_t stream, const Clock& clock) {
  const StateLock lock(state_mutex());
  join(streams().all.at(stream).clock, clock);
}

void synchronize_stream(size_t stream, const std::string& name) {
  const StateLock lock(state_mutex());
  refuse_in_recording(stream, name);
  count_synchronization(name);
  host_waits_for(clock_of(stream));
}

void synchronize_device(int device, const std::string& name) {
  const StateLock lock(state_mutex());
  count_synchronization(name);
  for (const auto& stream : streams().all) {
    if (stream.device == device) host_waits_for(stream.clock);
  }
}

void record_event(Event& event, size_t stream) {
  const StateLock lock(state_mutex());
  refuse_after_error();
  // The event is also after what the host has waited for.
  auto clock = clock_of(stream);
  join(clock, streams().host);
  event = {stream, std::move(clock)};
}

bool is_known_done(const Event& event) {
  const StateLock lock(state_mutex());
  return entry(streams().host, event.stream) >= entry(event.clock, event.stream);
}

void synchronize_event(const Event& event, const std::string& name) {
  const StateLock lock(state_mutex());
  refuse_in_recording(event.stream, name);
  const bool drains =
      entry(event.clock, event.stream) == entry(clock_of(event.stream), event.stream);
  if (drains) {
    count_synchronization(name);
  } else {
    count_wait();
  }
  host_waits_for(event.clock);
}

Recorder* recorder_of(size_t stream) {
  const StateLock lock(state_mutex());
  return streams().all.at(stream).recorder;
}

void set_recorder(size_t stream, Recorder* recorder) {
  const StateLock lock(state_mutex());
  streams().all.at(stream).recorder = recorder;
}

void refuse_in_recording(size_t stream, const std::string& name) {
  if (recorder_of(stream)) {
    report_fault("CUDA error: operation not permitted when stream is capturing: " + name);
  }
}

}  // namespace mactok::stand_in
