#pragma once

#include "runtime/torch.h"

#include <ATen/record_function.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace mactok {

/** Our own spans begin with these; all others are LibTorch's. */
constexpr const char* kStepSpan = "step";
constexpr const char* kPhasePrefix = "phase:";

/** A numbered step of a profile. Without a profiler it costs a thread-local look-up. */
class StepSpan {
 public:
  explicit StepSpan(uint64_t number) : guard_(at::RecordScope::USER_SCOPE) {
    if (guard_.isActive()) guard_.before(kStepSpan, static_cast<int64_t>(number));
  }

 private:
  at::RecordFunction guard_;
};

/** A phase of a step, up to the next phase or the end of the scope. */
class Phase {
 public:
  explicit Phase(const char* name) { next(name); }

  void next(const char* name) {
    // Ends the phase before.
    guard_.emplace(at::RecordScope::USER_SCOPE);
    if (guard_->isActive()) guard_->before(kPhasePrefix + std::string(name));
  }

 private:
  std::optional<at::RecordFunction> guard_;
};

/** A recording: names, and spans that refer to them by index. */
struct Profile {
  struct Span {
    uint32_t name, thread;
    /** A step's number, LibTorch's sequence number, or −1. */
    int64_t number;
    /** Nanoseconds since the start of the profile. */
    int64_t begin, end;
  };
  std::vector<std::string> names;
  std::vector<Span> spans;
};

/**
 * Starts recording every operation, autograd node and phase of all threads through LibTorch's
 * record functions. Spans are host time: of a CUDA operation, the time to launch it. One profile at
 * a time per process.
 */
void start_profile();

/** Stops recording. Open spans are skipped. */
Profile stop_profile();

}  // namespace mactok
