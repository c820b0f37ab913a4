#pragma once

#include "runtime/torch.h"

#include <ATen/record_function.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace mactok {

/** Names of our own spans begin so; all others are LibTorch's. */
constexpr const char* kStepSpan = "step";
constexpr const char* kPhasePrefix = "phase:";

/** A numbered step, which a profile is cut by. Costs a thread-local look-up where nobody profiles. */
class StepSpan {
 public:
  explicit StepSpan(uint64_t number) : guard_(at::RecordScope::USER_SCOPE) {
    if (guard_.isActive()) guard_.before(kStepSpan, static_cast<int64_t>(number));
  }

 private:
  at::RecordFunction guard_;
};

/** What a step is doing, from here to the next phase or to the end of the block. */
class Phase {
 public:
  explicit Phase(const char* name) { next(name); }

  void next(const char* name) {
    guard_.emplace(at::RecordScope::USER_SCOPE);  // ends the one before
    if (guard_->isActive()) guard_->before(kPhasePrefix + std::string(name));
  }

 private:
  std::optional<at::RecordFunction> guard_;
};

/** What was recorded: names, and spans that refer to them. */
struct Profile {
  struct Span {
    uint32_t name, thread;
    int64_t number;      // of a step; else −1 or LibTorch's own
    int64_t begin, end;  // ns since the profile's start
  };
  std::vector<std::string> names;
  std::vector<Span> spans;
};

/**
 * Records every operation, autograd node and phase of all threads by LibTorch's record functions. Host time: a CUDA operation counts
 * for as long as it takes to launch. One at a time in a process.
 */
void start_profile();

/** Ends the recording. A span that is still open is left out. */
Profile stop_profile();

}  // namespace mactok
