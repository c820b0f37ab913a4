#pragma once

#include <string>

namespace mactok {

/**
 * Opens a shared library for the rest of the process, with its symbols hidden from libraries that
 * do not depend on it: LibTorch's protobuf and ONNX must not clash with onnxruntime-node's. Returns
 * the error, or an empty string.
 */
std::string open_library(const std::string& path);

}  // namespace mactok
