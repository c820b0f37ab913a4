#pragma once

#include <chrono>

namespace gloo {

/** What ProcessGroupGloo.hpp names of Gloo's context; LibTorch defines it. */
class Context {
 public:
  void setTimeout(std::chrono::milliseconds timeout);
};

}  // namespace gloo
