// LibTorch's registry knows the hooks of CUDA by this class name only.

#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/Allocator.h>

#include <utility>

#include "testing/device/allocator.h"
#include "testing/device/pinned.h"
#include "testing/device/streams.h"

namespace at {

using namespace mactok::stand_in;

struct CUDAHooks final : CUDAHooksInterface {
  explicit CUDAHooks(CUDAHooksArgs) {}

  void init() const override {}
  bool hasCUDA() const override { return true; }
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(DeviceIndex) const override { return true; }
  DeviceIndex deviceCount() const override { return kDevices; }
  int getNumGPUs() const override { return kDevices; }
  DeviceIndex current_device() const override { return getCurrentDevice(); }
  DeviceIndex getCurrentDevice() const override {
    return static_cast<DeviceIndex>(mactok::stand_in::current_device());
  }
  void setCurrentDevice(DeviceIndex device) const override { set_current_device(device); }
  DeviceIndex exchangeDevice(DeviceIndex device) const override {
    const auto previous = getCurrentDevice();
    set_current_device(device);
    return previous;
  }
  DeviceIndex maybeExchangeDevice(DeviceIndex device) const override {
    return exchangeDevice(device);
  }
  bool isPinnedPtr(const void* address) const override { return is_pinned(address); }
  Allocator* getPinnedMemoryAllocator() const override { return &pinned_allocator(); }
};

REGISTER_CUDA_HOOKS(CUDAHooks);

}  // namespace at

namespace {

[[maybe_unused]] const bool registered = [] {
  c10::SetAllocator(c10::kCUDA, &mactok::stand_in::device_allocator());
  return true;
}();

}  // namespace
