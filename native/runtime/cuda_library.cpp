#include "runtime/cuda_library.h"

#include <ATen/Context.h>

#ifdef __linux__
#include <dlfcn.h>

#include <filesystem>
#endif

namespace mactok {

const CudaInterface* cuda_library() {
#ifdef __linux__
  if (!at::hasCUDA()) return nullptr;
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

}  // namespace mactok
