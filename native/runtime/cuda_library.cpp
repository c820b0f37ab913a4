#include "runtime/cuda_library.h"

#include <ATen/Context.h>

#include <stdexcept>

#ifdef __linux__
#include <dlfcn.h>

#include <filesystem>
#endif

namespace mactok {
namespace {

/** libmactok_cuda beside the addon, or nullptr where it or CUDA is missing. */
const CudaInterface* cuda_library() {
#ifdef __linux__
  if (!at::hasCUDA()) return nullptr;
  at::globalContext().lazyInitDevice(at::kCUDA);
  Dl_info self{};
  if (!dladdr(reinterpret_cast<const void*>(&cuda_library), &self)) return nullptr;
  const auto path = std::filesystem::path(self.dli_fname).replace_filename("libmactok_cuda.so");
  void* library = dlopen(
      path.c_str(), RTLD_NOW | RTLD_LOCAL);  // never closed: LibTorch stays as long as the process
  if (!library) return nullptr;
  using Entry = const CudaInterface* (*)();
  const auto entry = reinterpret_cast<Entry>(dlsym(library, "mactok_cuda"));
  return entry ? entry() : nullptr;
#else
  return nullptr;
#endif
}

void check(const char* problem) {
  if (problem) throw std::runtime_error(problem);
}

}  // namespace

std::optional<CudaMemory> device_memory(at::Device device) {
  const auto* cuda = device.is_cuda() ? cuda_library() : nullptr;
  if (!cuda) return std::nullopt;
  CudaMemory result{};
  check(cuda->memory(device.index(), &result));
  return result;
}

at::Tensor upload(const at::Tensor& host, at::Device device) {
  const auto* cuda = device.is_cuda() ? cuda_library() : nullptr;
  if (!cuda) return host.to(device);
  at::Tensor result;
  check(cuda->upload(&host, device.index(), &result));
  return result;
}

}  // namespace mactok
