#pragma once

#include <cstddef>
#include <cstdint>

namespace mactok {

/**
 * CRC-32C (Castagnoli; RFC 3720, appendix B.4) of bytes that follow those of which `crc` is the
 * checksum; 0 is that of none. By the processor's own instruction where it has one.
 */
uint32_t crc32c(uint32_t crc, const uint8_t* bytes, size_t size);

/** The checksum of two pieces of data from those of each; the second has `size` bytes. */
uint32_t join_crc32c(uint32_t first, uint32_t second, uint64_t size);

}  // namespace mactok
