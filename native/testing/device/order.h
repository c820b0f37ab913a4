#pragma once

#include <optional>
#include <string>
#include <vector>

#include "testing/device/streams.h"

namespace mactok::stand_in {

/**
 * Which streams used a piece of memory, to find work that is in order by luck only: happens-before
 * by vector clocks.
 */
class History {
 public:
  /** Throws if what was written is not known to be done when `work` reads it. */
  void read(const Stamp& work, const std::string& name);
  /** Throws if any use is not known to be done when `work` writes. */
  void write(const Stamp& work, const std::string& name);
  /** The allocator waits for the stream. */
  void forget(size_t stream);
  /** The memory belongs to another tensor from now on. */
  void hand_on() { reused_ = true; }

 private:
  void check(const Stamp& use, const char* verb, const Stamp& work, const std::string& name) const;

  std::optional<Stamp> written_;
  /** The last of each stream since the last write. */
  std::vector<Stamp> reads_;
  /** Whether the uses were of an earlier tensor. */
  bool reused_ = false;
};

}  // namespace mactok::stand_in
