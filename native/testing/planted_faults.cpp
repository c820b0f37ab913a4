#include "testing/planted_faults.h"

#include <c10/core/Event.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <functional>
#include <map>
#include <optional>
#include <stdexcept>

#include "runtime/cuda_library.h"

namespace mactok {
namespace {

c10::Stream other_stream(at::Device device) {
  static std::map<at::DeviceIndex, c10::Stream> streams;
  const auto known = streams.find(device.index());
  if (known != streams.end()) return known->second;
  const c10::impl::VirtualGuardImpl guard(device.type());
  return streams.emplace(device.index(), guard.getNewStream(device)).first->second;
}

void mix_host_and_device(at::Device device) { at::ones({2}, device).add(at::ones({2})); }

void mix_devices(at::Device device) {
  const at::Device other(device.type(), static_cast<at::DeviceIndex>(1 - device.index()));
  at::ones({2}, device).add(at::ones({2}, other));
}

/** Ends the process. */
void read_on_host(at::Device device) {
  const auto tensor = at::ones({2}, device);
  volatile float value = *tensor.const_data_ptr<float>();
  (void)value;
}

void use_after_free(at::Device device) {
  void* memory = at::ones({256}, device).mutable_data_ptr();
  at::from_blob(memory, {256}, [](void*) {}, at::TensorOptions(device), device).add_(1);
}

/** As weights that were cast while the graph was not yet recorded. */
void use_after_free_in_graph(at::Device device) {
  const auto graph = open_cuda_graph(device);
  auto weight = at::ones({256}, device);
  at::Tensor output;
  {
    const CudaGraph::Scope scope(*graph, /*record=*/true);
    output = weight.mul(2);
  }
  graph->replay();
  weight.reset();
  graph->replay();
}

void wait_while_recording(at::Device device) {
  const auto value = at::ones({}, device);
  const auto graph = open_cuda_graph(device);
  const CudaGraph::Scope scope(*graph, /*record=*/true);
  value.item<float>();
}

void wait_for_value(at::Device device) { at::ones({}, device).item<float>(); }

void read_without_order(at::Device device) {
  at::Tensor written;
  {
    const c10::StreamGuard guard(other_stream(device));
    written = at::ones({256}, device);
  }
  written.add(1);
}

void read_in_order(at::Device device) {
  at::Tensor written;
  c10::Event done(device.type());
  {
    const c10::StreamGuard guard(other_stream(device));
    written = at::ones({256}, device);
    done.record(other_stream(device));
  }
  done.block(c10::impl::VirtualGuardImpl(device.type()).getStream(device));
  written.add(1);
}

/** Memory of this stream is freed and used again while the other stream still reads it. */
void reuse_memory(at::Device device, bool record) {
  const auto other = other_stream(device);
  auto tensor = at::ones({100'000}, device);
  c10::Event filled(device.type());
  filled.record(c10::impl::VirtualGuardImpl(device.type()).getStream(device));
  filled.block(other);
  {
    const c10::StreamGuard guard(other);
    tensor.add(1);
  }
  if (record) tensor.record_stream(other);
  tensor.reset();
  at::ones({100'000}, device);
}

void reuse_too_early(at::Device device) { reuse_memory(device, /*record=*/false); }
void reuse_recorded(at::Device device) { reuse_memory(device, /*record=*/true); }

void launch_without_end(at::Device device) {
  auto tensor = at::ones({2}, device);
  for (int i = 0; i < 5000; ++i) tensor.add_(1);
}

void launch_with_waits(at::Device device) {
  auto tensor = at::ones({2}, device);
  std::optional<c10::Event> previous;
  for (int i = 0; i < 50; ++i) {
    for (int j = 0; j < 100; ++j) tensor.add_(1);
    if (previous) previous->synchronize();
    previous.emplace(device.type());
    previous->record(c10::impl::VirtualGuardImpl(device.type()).getStream(device));
  }
}

}  // namespace

PlantedFault planted_fault(const std::string& name) {
  static const std::map<std::string, PlantedFault> faults{
      {"host and device mixed", mix_host_and_device},
      {"two devices mixed", mix_devices},
      {"host read", read_on_host},
      {"use after free", use_after_free},
      {"use after free in a graph", use_after_free_in_graph},
      {"wait while recording", wait_while_recording},
      {"wait for a value", wait_for_value},
      {"read without order", read_without_order},
      {"read in order", read_in_order},
      {"reuse too early", reuse_too_early},
      {"reuse after record_stream", reuse_recorded},
      {"launches without end", launch_without_end},
      {"launches with waits", launch_with_waits}};
  const auto found = faults.find(name);
  if (found == faults.end()) throw std::invalid_argument("No fault is called " + name);
  return found->second;
}

}  // namespace mactok
