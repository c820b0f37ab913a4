#pragma once

#include <exception>
#include <string>

namespace mactok {

/** A C++ exception as JavaScript sees it. */
struct ErrorReport {
  /** INVALID_ARGUMENT, OUT_OF_MEMORY, LIBTORCH or NATIVE. */
  std::string code;
  /** The first line of the exception's message. */
  std::string message;
};

ErrorReport describe(const std::exception_ptr& error);

}  // namespace mactok
