#pragma once

#include <cstddef>

namespace mactok::stand_in {

/**
 * Addresses for the devices' memory: one file that is mapped twice. Tensors point into the mapping
 * that nobody may touch, so that a host access ends the process; operations use the other one.
 * Addresses are never handed out again.
 */
char* reserve_addresses(size_t bytes);

/** Returns the pages within a range to the system. */
void discard_pages(char* begin, size_t bytes);

/** Where operations find the memory of a device address. */
char* operation_view(const void* device_address);

}  // namespace mactok::stand_in
