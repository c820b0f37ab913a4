#pragma once

#include <string>
#include <vector>

namespace mactok {

/** Paths of the shared libraries in this process. */
std::vector<std::string> loaded_libraries();

}  // namespace mactok
