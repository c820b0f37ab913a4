// Operations that make and copy tensors, and that the CPU's kernels cannot do for a device.

#include <ATen/EmptyTensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/empty.h>
#include <c10/core/DeviceGuard.h>
#include <torch/library.h>

#include <cstring>
#include <optional>
#include <utility>

#include "testing/device/arena.h"
#include "testing/device/counters.h"
#include "testing/device/recorder.h"
#include "testing/device/work.h"

namespace mactok::stand_in {
namespace {

constexpr c10::DispatchKeySet kCudaKeys(c10::DispatchKey::CUDA);

c10::Device resolve(std::optional<at::Device> device) {
  if (device && device->has_index()) return *device;
  return {at::kCUDA, static_cast<c10::DeviceIndex>(current_device())};
}

at::Tensor empty(c10::SymIntArrayRef size, std::optional<at::ScalarType> dtype,
                 std::optional<at::Layout> /*layout*/, std::optional<at::Device> device,
                 std::optional<bool> pinned, std::optional<at::MemoryFormat> format) {
  TORCH_CHECK(!pinned.value_or(false), "Only dense CPU tensors can be pinned");
  const c10::DeviceGuard guard(resolve(device));
  return at::detail::empty_generic(C10_AS_INTARRAYREF_SLOW(size), &device_allocator(), kCudaKeys,
                                   dtype.value_or(at::kFloat), format);
}

at::Tensor empty_strided(c10::SymIntArrayRef size, c10::SymIntArrayRef stride,
                         std::optional<at::ScalarType> dtype, std::optional<at::Layout> /*layout*/,
                         std::optional<at::Device> device, std::optional<bool> pinned) {
  TORCH_CHECK(!pinned.value_or(false), "Only dense CPU tensors can be pinned");
  const c10::DeviceGuard guard(resolve(device));
  return at::detail::empty_strided_generic(C10_AS_INTARRAYREF_SLOW(size),
                                           C10_AS_INTARRAYREF_SLOW(stride), &device_allocator(),
                                           kCudaKeys, dtype.value_or(at::kFloat));
}

at::Tensor as_strided(const at::Tensor& base, c10::SymIntArrayRef size, c10::SymIntArrayRef stride,
                      std::optional<c10::SymInt> offset) {
  auto impl = c10::make_intrusive<c10::TensorImpl>(
      c10::TensorImpl::VIEW, c10::Storage(base.storage()), base.key_set(), base.dtype());
  impl->set_sizes_and_strides(C10_AS_INTARRAYREF_SLOW(size), C10_AS_INTARRAYREF_SLOW(stride),
                              offset ? offset->expect_int() : base.storage_offset());
  return at::Tensor(std::move(impl));
}

/** New memory keeps what the old one held, as far as it goes. */
const at::Tensor& resize(const at::Tensor& self, c10::SymIntArrayRef size,
                         std::optional<at::MemoryFormat> /*format*/) {
  const auto sizes = C10_AS_INTARRAYREF_SLOW(size);
  if (self.sizes() == sizes) return self;
  const auto needed = static_cast<size_t>(c10::multiply_integers(sizes)) * self.element_size();
  const auto offset = static_cast<size_t>(self.storage_offset()) * self.element_size();
  const auto held = self.storage().nbytes();
  if (offset + needed > held) {
    const auto fresh =
        at::empty({static_cast<int64_t>(offset + needed)}, self.options().dtype(at::kByte));
    if (held > 0) {
      std::memcpy(operation_view(fresh.storage().data()), operation_view(self.storage().data()),
                  held);
    }
    self.unsafeGetTensorImpl()->set_storage_keep_dtype(fresh.storage());
  }
  self.unsafeGetTensorImpl()->set_sizes_contiguous(sizes);
  return self;
}

void record_use(at::Tensor& self, at::Stream stream) {
  record_stream(self.storage().data(), from_stream(stream));
}

/** The device whose stream copies: the source's, which waits for the target's and the other way round. */
size_t copying_stream(const at::Tensor& target, const at::Tensor& source) {
  const size_t stream = current_stream((source.is_cuda() ? source : target).device().index());
  if (source.is_cuda() && target.is_cuda() && source.device() != target.device()) {
    const StateLock lock(state_mutex());
    wait_on_device(stream, clock_of(current_stream(target.device().index())));
  }
  return stream;
}

at::Tensor& copy(at::Tensor& self, const at::Tensor& source, bool non_blocking) {
  const bool to = self.is_cuda(), from = source.is_cuda();
  const auto size = c10::str(source.sizes(), " ", source.scalar_type());
  if (self.numel() == 0) return self;
  const size_t stream = copying_stream(self, source);
  // Memory that is not pinned has to be read or written before the call returns.
  const bool blocks = from != to && !(to && non_blocking && source.is_pinned());
  const auto name = c10::str("copy_ ", from ? "device" : "host", " to ", to ? "device" : "host");
  if (from != to) refuse_in_recording(stream, name);
  if (to && !from) count_upload();
  count_operation("aten::copy_");

  Work work(stream, name);
  if (from) work.use(source, /*writes=*/false);
  if (to) work.use(self, /*writes=*/true);
  auto target = to ? on_host(self) : self.detach();
  const auto read = from ? on_host(source) : source;
  target.copy_(read);
  if (auto* recorder = recorder_of(stream)) {
    static const auto operation = c10::Dispatcher::singleton().findSchemaOrThrow("aten::copy_", "");
    recorder->add({name, operation, {target, read, false}, {}, {}, work.uses()});
  }
  if (from && to && self.device() != source.device()) {
    const StateLock lock(state_mutex());
    wait_on_device(current_stream(self.device().index()), clock_of(stream));
  }
  if (blocks) synchronize_stream(stream, name + " " + size);
  return self;
}

}  // namespace

TORCH_LIBRARY_IMPL(aten, CUDA, library) {
  library.impl("empty.memory_format", empty);
  library.impl("empty_strided", empty_strided);
  library.impl("as_strided", as_strided);
  library.impl("resize_", resize);
  library.impl("record_stream", record_use);
  library.impl("copy_", copy);
}

}  // namespace mactok::stand_in
