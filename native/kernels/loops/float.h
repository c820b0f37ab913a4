#pragma once

#include <bit>
#include <cstdint>
#include <type_traits>

// The element types of loops: float32, and bfloat16 as its bits. Compilers vectorise loops over
// these functions.
namespace mactok::loops {

using bf16 = uint16_t;

inline float widen(bf16 bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }
inline float widen(float value) { return value; }

/** Rounds to a T: to the nearest bfloat16, ties to even; NaN stays NaN. */
template <typename T>
inline T narrow(float value) {
  if constexpr (std::is_same_v<T, float>) {
    return value;
  } else {
    const auto bits = std::bit_cast<uint32_t>(value);
    const uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    return static_cast<bf16>(value != value ? 0x7fc0 : rounded);
  }
}

/**
 * eˣ to the precision of a T: a relative error of 1e-5 for bfloat16, a hundredth of its resolution,
 * or of about two units in float32's last place. x is clamped to [-87, 88]. Computed as 2ⁿ·p(r),
 * |r| ≤ ln 2 / 2, with p fitted to the relative error.
 */
template <typename T>
inline float exponential(float x) {
  x = x < -87.0F ? -87.0F : x;
  x = x > 88.0F ? 88.0F : x;
  constexpr float kShift = 12582912.0F;  // 1.5·2²³: adding it rounds to an integer
  const float shifted = x * 1.44269504F + kShift;
  const float n = shifted - kShift;
  float p = 0;
  if constexpr (std::is_same_v<T, float>) {
    const float r =
        x - n * .693145752F - n * 1.42860677e-6F;  // ln 2 in two parts, the first with few bits
    const float q =
        .49999993F + r * (.16666521F + r * (.04166839F + r * (.00836871F + r * .00138146F)));
    p = 1 + (r + r * r * q);
  } else {
    const float r = x - n * .69314718F;
    p = 1 + r * (1 + r * (.50008931F + r * (.16753976F + r * .0409174F)));
  }
  return p * std::bit_cast<float>((std::bit_cast<uint32_t>(shifted) + 127) << 23);
}

}  // namespace mactok::loops
