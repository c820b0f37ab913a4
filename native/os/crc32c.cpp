#include "os/crc32c.h"

#include <array>
#include <cstring>

#if defined(__x86_64__) || defined(_M_X64)
#include <nmmintrin.h>
#if defined(_MSC_VER)
#include <intrin.h>
#define MACTOK_CRC_TARGET
#else
#define MACTOK_CRC_TARGET __attribute__((target("sse4.2")))
#endif
#elif defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>
#define MACTOK_CRC_TARGET
#elif defined(__aarch64__) && defined(__linux__)
#include <arm_acle.h>
#include <asm/hwcap.h>
#include <sys/auxv.h>
#define MACTOK_CRC_TARGET __attribute__((target("+crc")))
#endif

namespace mactok {
namespace {

/** The checksum's polynomial. The coefficient of x^0 is the highest bit, here and below. */
constexpr uint32_t kPolynomial = 0x82f63b78;

uint32_t times_x(uint32_t factor) { return (factor >> 1) ^ ((factor & 1) != 0 ? kPolynomial : 0); }

/** A product modulo the polynomial, over GF(2). */
uint32_t multiply(uint32_t a, uint32_t b) {
  uint32_t product = 0;
  for (; a != 0; a <<= 1, b = times_x(b)) {
    if ((a & 0x80000000) != 0) product ^= b;
  }
  return product;
}

/** x^(8 bytes): what a checksum is multiplied by where so many bytes follow. */
uint32_t shift(uint64_t bytes) {
  uint32_t result = 0x80000000;
  for (uint32_t power = 0x00800000; bytes > 0; bytes >>= 1, power = multiply(power, power)) {
    if ((bytes & 1) != 0) result = multiply(power, result);
  }
  return result;
}

std::array<uint32_t, 256> make_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t byte = 0; byte < table.size(); ++byte) {
    table[byte] = byte;
    for (int bit = 0; bit < 8; ++bit) table[byte] = times_x(table[byte]);
  }
  return table;
}

uint32_t update_by_table(uint32_t crc, const uint8_t* bytes, size_t size) {
  static const auto table = make_table();
  for (; size > 0; ++bytes, --size) crc = table[(crc ^ *bytes) & 0xff] ^ (crc >> 8);
  return crc;
}

#if defined(MACTOK_CRC_TARGET)

bool has_instruction() {
#if defined(_M_X64)
  int registers[4];
  __cpuid(registers, 1);
  return (registers[2] & (1 << 20)) != 0;
#elif defined(__x86_64__)
  return __builtin_cpu_supports("sse4.2") != 0;
#elif defined(__ARM_FEATURE_CRC32)
  return true;
#else
  return (getauxval(AT_HWCAP) & HWCAP_CRC32) != 0;
#endif
}

MACTOK_CRC_TARGET uint32_t update(uint32_t crc, const uint8_t* bytes) {
  uint64_t word;
  std::memcpy(&word, bytes, 8);
#if defined(__x86_64__) || defined(_M_X64)
  return static_cast<uint32_t>(_mm_crc32_u64(crc, word));
#else
  return __crc32cd(crc, word);
#endif
}

MACTOK_CRC_TARGET uint32_t update_by_instruction(uint32_t crc, const uint8_t* bytes, size_t size) {
  // An instruction takes three cycles, but one can begin in each: three parts at once.
  const size_t part = size / 24 * 8;
  uint32_t second = 0;
  uint32_t third = 0;
  for (const uint8_t* end = bytes + part; bytes < end; bytes += 8) {
    crc = update(crc, bytes);
    second = update(second, bytes + part);
    third = update(third, bytes + 2 * part);
  }
  const uint32_t by_part = shift(part);
  crc = multiply(multiply(crc, by_part) ^ second, by_part) ^ third;
  return update_by_table(crc, bytes + 2 * part, size - 3 * part);
}

#endif

}  // namespace

uint32_t crc32c(uint32_t crc, const uint8_t* bytes, size_t size) {
#if defined(MACTOK_CRC_TARGET)
  static const bool is_fast = has_instruction();
  if (is_fast) return ~update_by_instruction(~crc, bytes, size);
#endif
  return ~update_by_table(~crc, bytes, size);
}

uint32_t join_crc32c(uint32_t first, uint32_t second, uint64_t size) {
  return multiply(first, shift(size)) ^ second;
}

}  // namespace mactok
