#pragma once

#include <cstdint>
#include <string>

#include "testing/device/interface.h"

namespace mactok::stand_in {

/** An operation that the host has launched. */
void count_operation(const std::string& name);
/** Operations that a graph has launched. */
void count_replay(int64_t operations);
/** The host has waited for all work of a stream. */
void count_synchronization(const std::string& name);
/** The host has waited for a part of a stream's work. */
void count_wait();
void count_upload();
void count_allocation();
/** Operations that are queued and that the host does not know to be done. */
void count_run_ahead(int64_t operations);

/** Tensors hold `bytes` more, or fewer where it is negative. */
void count_bytes(int64_t bytes);

/** The counts since the last call. */
Counts take_counts();

}  // namespace mactok::stand_in
