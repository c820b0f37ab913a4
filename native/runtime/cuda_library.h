#pragma once

#include "cuda/interface.h"

namespace mactok {

/** libmactok_cuda beside the addon, or nullptr where it or CUDA is missing. */
const CudaInterface* cuda_library();

}  // namespace mactok
