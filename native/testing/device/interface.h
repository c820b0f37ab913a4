#pragma once

#include <c10/macros/Export.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace mactok::stand_in {

/** What has happened on the devices. */
struct Counts {
  /** Operations that the host launched, by name. */
  std::map<std::string, int64_t> operations;
  /** Where the host waited for all work of a stream, by name. */
  std::map<std::string, int64_t> synchronizations;
  /** Where it waited for a part of a stream's work. */
  int64_t waits = 0;
  /** Graphs that were launched, and their operations. */
  int64_t replays = 0;
  int64_t replayed = 0;
  int64_t uploads = 0;
  int64_t allocations = 0;
  /** The most operations that were queued while the host did not know them to be done. */
  int64_t run_ahead = 0;
  /** The most bytes that tensors held beyond what they held at the last call. */
  int64_t peak_bytes = 0;
};

/** What tests ask of the stand-in device. */
struct Control {
  /** The counts since the last call. */
  Counts (*take_counts)();
  /** The mistakes of the program since the last call; each was also thrown. */
  std::vector<std::string> (*take_faults)();
  /** The n-th allocation from now on fails; 0: none does. */
  void (*fail_allocation)(int64_t n);
  /** A device has so many bytes from now on; 0: as many as at the start. */
  void (*limit_memory)(int64_t bytes);
  /** The n-th operation from now on breaks the device, which shows when the host waits; 0: none does. */
  void (*fail_operation)(int64_t n);
  /** Mends a broken device, which only a new process does on a GPU. */
  void (*recover)();
};

}  // namespace mactok::stand_in

extern "C" C10_EXPORT const mactok::stand_in::Control* mactok_stand_in();
