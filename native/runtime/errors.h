#pragma once

#include "runtime/torch.h"

#include <exception>
#include <stdexcept>
#include <string>

namespace mactok {

/** Another rank of the job is lost, stuck or has failed. */
struct DistributedError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/** A C++ exception as JavaScript sees it. */
struct ErrorReport {
  /** INVALID_ARGUMENT, OUT_OF_MEMORY, DISTRIBUTED, LIBTORCH or NATIVE. */
  std::string code;
  /** The first line of the exception's message. */
  std::string message;
};

ErrorReport describe(const std::exception_ptr& error);

/** Of work on a device: where its memory ran out, the message says how much is free. */
ErrorReport describe(const std::exception_ptr& error, at::Device device);

/**
 * Rethrows the failure to allocate `bytes` for a device. Where CUDA's runtime lacks memory,
 * LibTorch says neither how much was requested nor how much is free.
 */
[[noreturn]] void rethrow_allocation(const std::exception_ptr& error, size_t bytes,
                                     at::Device device);

}  // namespace mactok
