#pragma once

#include <cstdint>

namespace mactok {

/** Where a micro-batch stands, which decides its random draws: the step, and its first picture's place in the global batch. */
struct Position {
  uint64_t step, first_index;
};

}  // namespace mactok
