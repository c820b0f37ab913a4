#pragma once

#include "runtime/torch.h"

#include <optional>

#include "cuda/interface.h"

namespace mactok {

/** A CUDA device's memory; nothing for the CPU, and where libmactok_cuda is not beside the addon. */
std::optional<CudaMemory> device_memory(at::Device device);

/**
 * A host tensor on the device: through pinned memory on a side stream where libmactok_cuda is beside the addon, else by LibTorch's
 * own copy. The tensor itself when the device is the CPU.
 */
at::Tensor upload(const at::Tensor& host, at::Device device);

}  // namespace mactok
