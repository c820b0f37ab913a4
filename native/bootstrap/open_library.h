#pragma once

#include <string>

namespace mactok {

/**
 * Opens a shared library for the rest of the process, without offering its symbols to libraries that do not name it: LibTorch's
 * protobuf and ONNX must not meet onnxruntime-node's. Returns the problem, empty when there is none.
 */
std::string open_library(const std::string& path);

}  // namespace mactok
