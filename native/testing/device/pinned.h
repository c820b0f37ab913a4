#pragma once

#include <c10/core/Allocator.h>

namespace mactok::stand_in {

/** Host memory that copies to the device without waiting. */
c10::Allocator& pinned_allocator();
bool is_pinned(const void* address);

}  // namespace mactok::stand_in
