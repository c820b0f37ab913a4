#pragma once

#include "runtime/torch.h"

#include <string>

namespace mactok {

/** Parses `cpu`, `cuda` or `cuda:1`; throws std::invalid_argument when LibTorch has no such device here. */
at::Device parse_device(const std::string& name);

/** Whether LibTorch can use a CUDA device here, and why not. */
struct CudaStatus {
  int64_t devices;
  std::string reason;
};
CudaStatus cuda_status();

}  // namespace mactok
