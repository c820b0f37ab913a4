#pragma once

#include <exception>
#include <string>

namespace mactok {

/** What JavaScript hears of a C++ exception: a code and the first line of the message. */
struct ErrorReport {
  std::string code;  // INVALID_ARGUMENT, OUT_OF_MEMORY, LIBTORCH or NATIVE
  std::string message;
};

ErrorReport describe(const std::exception_ptr& error);

}  // namespace mactok
