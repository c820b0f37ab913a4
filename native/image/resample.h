#pragma once

#include <cstdint>

/** Images as bytes, without LibTorch. */
namespace mactok::image {

enum class Filter { box, bicubic };

/** A window at (`left`, `top`) of an image scaled to `width` × `height`. */
struct Resample {
  Filter filter;
  int64_t width, height;
  int64_t left, top, window_width, window_height;
  /** Flip the window horizontally. */
  bool mirror;
};

/**
 * Antialiased separable resampling of uint8 [height, width, 3] into [window_height, window_width,
 * 3]. Bit-identical to Pillow 13's `resize` (8-bit fixed point, rounded to bytes between the
 * passes), followed by cropping and mirroring; only the rows and columns of the window are
 * computed. Like Pillow it resamples along the width first, or along the height if that shrinks by
 * over twice as many pixels (older Pillows never do; such tall images differ from theirs by the
 * rounding between the passes).
 */
void resample(const uint8_t* source, int64_t width, int64_t height, const Resample& target,
              uint8_t* destination);

}  // namespace mactok::image
