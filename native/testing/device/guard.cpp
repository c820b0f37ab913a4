// How LibTorch chooses devices and streams, and waits for them.

#include <c10/core/impl/DeviceGuardImplInterface.h>

#include "testing/device/allocator.h"
#include "testing/device/streams.h"

namespace mactok::stand_in {
namespace {

class Guard final : public c10::impl::DeviceGuardImplInterface {
 public:
  c10::DeviceType type() const override { return c10::kCUDA; }
  c10::DeviceIndex deviceCount() const noexcept override { return kDevices; }

  c10::Device getDevice() const override {
    return {c10::kCUDA, static_cast<c10::DeviceIndex>(current_device())};
  }
  void setDevice(c10::Device device) const override { set_current_device(device.index()); }
  void uncheckedSetDevice(c10::Device device) const noexcept override {
    if (device.index() >= 0) set_current_device(device.index());
  }
  c10::Device exchangeDevice(c10::Device device) const override {
    const auto previous = getDevice();
    setDevice(device);
    return previous;
  }

  c10::Stream getDefaultStream(c10::Device device) const override {
    return c10::Stream(c10::Stream::DEFAULT, resolve(device));
  }
  c10::Stream getStream(c10::Device device) const override {
    return to_stream(current_stream(resolve(device).index()));
  }
  c10::Stream getNewStream(c10::Device device, int /*priority*/) const override {
    return to_stream(open_stream(resolve(device).index()));
  }
  c10::Stream exchangeStream(c10::Stream stream) const override {
    const auto previous = getStream(stream.device());
    set_current_stream(stream.device_index(), from_stream(stream));
    return previous;
  }
  bool isStreamCapturing(const c10::Stream& stream) const override {
    return recorder_of(from_stream(stream)) != nullptr;
  }
  bool queryStream(const c10::Stream&) const override { return true; }
  void synchronizeStream(const c10::Stream& stream) const override {
    synchronize_stream(from_stream(stream), "synchronizeStream");
  }
  void synchronizeDevice(c10::DeviceIndex device) const override {
    synchronize_device(device, "synchronizeDevice");
  }

  void record(void** event, const c10::Stream& stream, c10::DeviceIndex /*device*/,
              c10::EventFlag /*flag*/) const override {
    if (!*event) *event = new Event;
    record_event(*static_cast<Event*>(*event), from_stream(stream));
  }
  void block(void* event, const c10::Stream& stream) const override {
    if (event) wait_on_device(from_stream(stream), static_cast<Event*>(event)->clock);
  }
  bool queryEvent(void* event) const override {
    return !event || is_known_done(*static_cast<Event*>(event));
  }
  void synchronizeEvent(void* event) const override {
    if (event) synchronize_event(*static_cast<Event*>(event), "synchronizeEvent");
  }
  void destroyEvent(void* event, c10::DeviceIndex /*device*/) const noexcept override {
    delete static_cast<Event*>(event);
  }
  void recordDataPtrOnStream(const c10::DataPtr& data, const c10::Stream& stream) const override {
    record_stream(data.get(), from_stream(stream));
  }

 private:
  static c10::Device resolve(c10::Device device) {
    const int index = device.has_index() ? device.index() : current_device();
    return {c10::kCUDA, static_cast<c10::DeviceIndex>(index)};
  }
};

}  // namespace

C10_REGISTER_GUARD_IMPL(CUDA, Guard)

}  // namespace mactok::stand_in
