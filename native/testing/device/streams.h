#pragma once

#include <c10/core/Device.h>
#include <c10/core/Stream.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "testing/device/state.h"

namespace mactok::stand_in {

class Recorder;

/** How much of each stream's work has happened before: the clock's entry i is of stream i. */
using Clock = std::vector<int64_t>;

/** A piece of a stream's work. */
struct Stamp {
  size_t stream;
  int64_t tick;
};

/** Whether the work happened before whatever has the clock. */
bool has_happened(const Stamp& work, const Clock& clock);

/** The thread's current device, and its current stream on a device. Stream i < kDevices is device i's default. */
int current_device();
void set_current_device(int device);
size_t current_stream(int device);
void set_current_stream(int device, size_t stream);

c10::Stream to_stream(size_t stream);
size_t from_stream(const c10::Stream& stream);

size_t open_stream(int device);
/** The stream may be opened again under the same number. */
void close_stream(size_t stream);

/** The next piece of work of a stream. Throws once an asynchronous error has surfaced. */
Stamp launch(size_t stream);
const Clock& clock_of(size_t stream);
/** Makes all later work of `stream` happen after the work of `clock`. */
void wait_on_device(size_t stream, const Clock& clock);

/**
 * The host waits for a stream: counted by name as a synchronisation. An asynchronous error
 * surfaces here. Refused while the stream is being recorded.
 */
void synchronize_stream(size_t stream, const std::string& name);

void synchronize_device(int device, const std::string& name);

/** A point in a stream's work, as CUDA's events. */
struct Event {
  size_t stream;
  Clock clock;
};

void record_event(Event& event, size_t stream);
/** Whether the host has waited for it. All other work may still run on a GPU. */
bool is_known_done(const Event& event);
/** Counted as a synchronisation where the stream has no later work, and else as a wait. */
void synchronize_event(const Event& event, const std::string& name);

/** What records the work of a stream; nullptr: it runs. */
Recorder* recorder_of(size_t stream);
void set_recorder(size_t stream, Recorder* recorder);
/** Throws if the stream is being recorded. */
void refuse_in_recording(size_t stream, const std::string& name);

}  // namespace mactok::stand_in
