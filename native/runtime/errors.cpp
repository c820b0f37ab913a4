#include "runtime/errors.h"

#include <c10/util/Exception.h>

#include <array>
#include <cstdio>
#include <new>
#include <stdexcept>

#include "runtime/cuda_library.h"

namespace mactok {
namespace {

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

bool contains(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

/** Whether an error that LibTorch has no type for is about memory, of the host or of CUDA. */
bool is_about_memory(const std::string& message) {
  static constexpr std::array<const char*, 4> kParts{
      "can't allocate memory",      // the CPU's allocator
      "CUDA error: out of memory",  // CUDA's runtime: pinned memory, contexts, graphs
      "CUDA driver error: out of memory",
      "STATUS_ALLOC_FAILED",  // cuBLAS, cuDNN, cuSOLVER
  };
  for (const char* part : kParts) {
    if (contains(message, part)) return true;
  }
  return false;
}

std::string format(size_t bytes) {
  const auto size = static_cast<double>(bytes);
  std::array<char, 32> text{};
  if (size < 0x1p30) {
    std::snprintf(text.data(), text.size(), "%.2f MiB", size * 0x1p-20);
  } else {
    std::snprintf(text.data(), text.size(), "%.2f GiB", size * 0x1p-30);
  }
  return text.data();
}

/** Empty where the device cannot tell. */
std::string describe_free(at::Device device) {
  try {
    const auto memory = device_memory(device);
    if (!memory) return "";
    return ". " + device.str() + " has a total capacity of " +
           format(static_cast<size_t>(memory->total)) + " of which " +
           format(static_cast<size_t>(memory->free)) + " is free";
  } catch (...) {
    return "";
  }
}

}  // namespace

ErrorReport describe(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const c10::OutOfMemoryError& e) {
    return {"OUT_OF_MEMORY", first_line(e.what_without_backtrace())};
  } catch (const c10::Error& e) {
    const auto message = first_line(e.what_without_backtrace());
    return {is_about_memory(message) ? "OUT_OF_MEMORY" : "LIBTORCH", message};
  } catch (const DistributedError& e) {
    return {"DISTRIBUTED", first_line(e.what())};
  } catch (const std::invalid_argument& e) {
    return {"INVALID_ARGUMENT", first_line(e.what())};
  } catch (const std::bad_alloc&) {
    return {"OUT_OF_MEMORY", "Out of memory"};
  } catch (const std::exception& e) {
    const auto message = first_line(e.what());
    return {is_about_memory(message) ? "OUT_OF_MEMORY" : "NATIVE", message};
  } catch (...) {
    return {"NATIVE", "Unknown native error"};
  }
}

ErrorReport describe(const std::exception_ptr& error, at::Device device) {
  auto report = describe(error);
  if (report.code == "OUT_OF_MEMORY" && device.is_cuda() && !contains(report.message, "is free")) {
    report.message += describe_free(device);
  }
  return report;
}

void rethrow_allocation(const std::exception_ptr& error, size_t bytes, at::Device device) {
  const auto report = describe(error, device);
  if (report.code != "OUT_OF_MEMORY" || contains(report.message, "Tried to allocate")) {
    std::rethrow_exception(error);
  }
  C10_THROW_ERROR(OutOfMemoryError, "CUDA out of memory. Tried to allocate " + format(bytes) +
                                        " for an upload" + describe_free(device));
}

}  // namespace mactok
