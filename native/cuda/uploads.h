#pragma once

#include <ATen/core/Tensor.h>

namespace mactok {

at::Tensor upload(const at::Tensor& source, at::Device device);

/** Frees what uploads hold and nobody reads any more. Waits for the device. */
void release_uploads(at::Device device);

}  // namespace mactok
