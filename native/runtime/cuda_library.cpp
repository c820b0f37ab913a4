#include "runtime/cuda_library.h"

#include <ATen/Context.h>
#include <ATen/autocast_mode.h>

#include <exception>
#include <stdexcept>
#include <string>

#include "runtime/cpu_memory.h"
#include "runtime/errors.h"
#include "runtime/float64.h"

#ifdef __linux__
#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>
#endif

namespace mactok {
namespace {

/** The library's functions, or why there are none. */
struct CudaLibrary {
  const CudaInterface* functions = nullptr;
  std::string problem;
};

CudaLibrary open_cuda_library() {
  if (!at::hasCUDA()) return {};
#ifdef __linux__
  at::globalContext().lazyInitDevice(at::kCUDA);
  Dl_info self{};
  if (!dladdr(reinterpret_cast<const void*>(&open_cuda_library), &self)) {
    return {nullptr, "the addon's folder is unknown"};
  }
  // Tests name a library that stands in for CUDA (native/testing/device).
  const char* stand_in = std::getenv("MACTOK_CUDA_LIBRARY");
  const auto name = std::string("lib") + (stand_in ? stand_in : "mactok_cuda") + ".so";
  const auto path = std::filesystem::path(self.dli_fname).replace_filename(name);
  if (!std::filesystem::exists(path)) return {nullptr, path.string() + " does not exist"};
  // Never closed: LibTorch stays as long as the process.
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) return {nullptr, dlerror()};
  using Entry = const CudaInterface* (*)();
  const auto entry = reinterpret_cast<Entry>(dlsym(library, "mactok_cuda"));
  if (!entry) return {nullptr, path.string() + " has no mactok_cuda"};
  return {entry(), ""};
#else
  return {nullptr, "it exists for Linux only"};
#endif
}

const CudaLibrary& opened_library() {
  static const CudaLibrary library = open_cuda_library();
  return library;
}

/** libmactok_cuda, or nullptr if it or CUDA is missing. */
const CudaInterface* cuda_library() { return opened_library().functions; }

}  // namespace

std::string cuda_library_problem() { return opened_library().problem; }

int compute_capability(c10::DeviceIndex device) {
  const auto* cuda = cuda_library();
  if (!cuda || !cuda->compute_capability) return 0;
  return cuda->compute_capability(at::Device(at::kCUDA, device));
}

std::optional<CudaMemory> device_memory(at::Device device) {
  const auto* cuda = device.is_cuda() ? cuda_library() : nullptr;
  if (!cuda) return std::nullopt;
  return cuda->memory(device);
}

at::Tensor upload(const at::Tensor& tensor, at::Device device) {
  const auto* cuda = device.is_cuda() && tensor.is_cpu() ? cuda_library() : nullptr;
  // The learning rate, for example.
  if (tensor.scalar_type() == at::kDouble && !has_float64(device)) {
    return tensor.to(at::kFloat).to(device);
  }
  if (!cuda) return tensor.to(device);
  try {
    return cuda->upload(tensor, device);
  } catch (...) {
    rethrow_allocation(std::current_exception(), tensor.nbytes(), device);
  }
}

void release_free_memory(at::Device device) noexcept {
  try {
    if (device.is_cpu()) return release_free_cpu_memory();
    if (const auto* cuda = cuda_library()) cuda->release_free(device);
  } catch (...) {
    // Whoever needs memory next reports what is wrong.
  }
}

void upload_all(const std::vector<at::Tensor*>& tensors, at::Device device) {
  for (auto* tensor : tensors) {
    if (tensor->defined()) *tensor = upload(*tensor, device);
  }
}

CudaGraph::CudaGraph(const CudaInterface& cuda, at::Device device)
    : cuda_(cuda), graph_(cuda.graph_open(device)) {}

CudaGraph::~CudaGraph() { cuda_.graph_close(graph_); }

CudaGraph::Scope::Scope(CudaGraph& graph, bool record)
    : graph_(graph), unwinding_(std::uncaught_exceptions()) {
  // Casts of weights that autocast keeps must neither be recorded from outside nor outlive this.
  at::autocast::clear_cache();
  graph_.cuda_.graph_enter(graph_.graph_, record);
}

CudaGraph::Scope::~Scope() noexcept(false) {
  at::autocast::clear_cache();
  graph_.cuda_.graph_leave(graph_.graph_, /*keep=*/std::uncaught_exceptions() == unwinding_);
}

void CudaGraph::replay() { cuda_.graph_replay(graph_); }

c10::intrusive_ptr<c10d::Backend> open_nccl(const c10::intrusive_ptr<c10d::Store>& store, int rank,
                                            int size, at::Device device,
                                            std::chrono::milliseconds timeout) {
  const auto* cuda = cuda_library();
  if (!cuda || !cuda->open_nccl) {
    throw std::runtime_error(
        "CUDA devices train together by NCCL, for which libmactok_cuda is needed; `npm run "
        "build:cuda` builds it: " +
        opened_library().problem);
  }
  return cuda->open_nccl(store, rank, size, device, timeout);
}

std::shared_ptr<CudaGraph> open_cuda_graph(at::Device device) {
  const auto* cuda = cuda_library();
  if (!cuda) {
    throw std::runtime_error(
        "CUDA graphs need libmactok_cuda, which `npx mactok setup --build --cuda` builds: " +
        opened_library().problem);
  }
  return std::make_shared<CudaGraph>(*cuda, device);
}

}  // namespace mactok
