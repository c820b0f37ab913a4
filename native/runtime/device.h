#pragma once

#include "runtime/torch.h"

#include <string>

namespace mactok {

/**
 * Parses `cpu`, `cuda`, `cuda:1`, `mps` or `mps:0`; throws std::invalid_argument if this machine
 * has no such device.
 */
at::Device parse_device(const std::string& name);

/** The number of CUDA devices that LibTorch can use, and why there are none. */
struct CudaStatus {
  int64_t devices;
  std::string reason;
};
CudaStatus cuda_status();

/** Why LibTorch has no Apple GPU here; empty where it has one. */
std::string mps_problem();

}  // namespace mactok
