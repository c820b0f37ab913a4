#pragma once

#include <cstdint>

/** Images as bytes: no LibTorch here. */
namespace mactok::image {

enum class Filter { box, bicubic };

/** An image scaled to `width` × `height`, of which the window at (`left`, `top`) is wanted. */
struct Resample {
  Filter filter;
  int64_t width, height;
  int64_t left, top, window_width, window_height;
  bool mirror;  // the window from right to left
};

/**
 * Antialiased separable resampling of uint8 [height, width, 3] into [window_height, window_width, 3].
 * Bit for bit the `resize` of Pillow 13 (8-bit fixed point, rounded to bytes between the passes), cropped
 * and mirrored afterwards; only the rows and columns that the window needs are computed. Like Pillow it does
 * the columns first, and the rows first where the height shrinks by over twice the width's pixels (older
 * Pillows never do; such tall images differ from theirs by the rounding between the passes).
 */
void resample(const uint8_t* source, int64_t width, int64_t height, const Resample& target,
              uint8_t* destination);

}  // namespace mactok::image
