#include "runtime/device.h"

#include <ATen/detail/CUDAHooksInterface.h>

#include <stdexcept>

namespace mactok {

CudaStatus cuda_status() {
  if (!at::hasCUDA()) return {0, "LibTorch's CUDA library is not loaded (no NVIDIA driver found)"};
  const auto devices = static_cast<int64_t>(at::detail::getCUDAHooks().deviceCount());
  return {devices, devices > 0 ? "" : "the CUDA runtime finds no device"};
}

std::string mps_problem() {
#ifdef __APPLE__
  return at::hasMPS() ? "" : "LibTorch finds no GPU of Apple that it supports";
#else
  return "only macOS has it";
#endif
}

at::Device parse_device(const std::string& name) {
  if (name == "cpu") return at::Device(at::kCPU);
  if (name == "mps" || name == "mps:0") {
    const auto problem = mps_problem();
    if (!problem.empty()) {
      throw std::invalid_argument("Device mps is not available: " + problem);
    }
    // With its index, as tensors on it have: one name, and so one engine.
    return at::Device(at::kMPS, 0);
  }
  const bool plain = name == "cuda";
  const bool indexed = name.rfind("cuda:", 0) == 0 && name.size() > 5 &&
                       name.find_first_not_of("0123456789", 5) == std::string::npos &&
                       name.size() < 9;
  if (!plain && !indexed) {
    throw std::invalid_argument("Expected cpu, cuda, cuda:<index> or mps for device but received " +
                                name);
  }
  const int64_t index = plain ? 0 : std::stoll(name.substr(5));
  const auto status = cuda_status();
  if (index >= status.devices) {
    const auto reason = status.reason.empty()
                            ? "there are " + std::to_string(status.devices) + " devices"
                            : status.reason;
    throw std::invalid_argument("Device " + name + " is not available: " + reason);
  }
  return at::Device(at::kCUDA, static_cast<c10::DeviceIndex>(index));
}

}  // namespace mactok
