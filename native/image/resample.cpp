#include "image/resample.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

namespace mactok::image {
namespace {

constexpr int64_t kChannels = 3;
/** 32 bits less 8 of a pixel and 2 of headroom for overshoot. */
constexpr int kFractionBits = 22;
constexpr int32_t kHalf = 1 << (kFractionBits - 1);

double support(Filter filter) { return filter == Filter::box ? 0.5 : 2.0; }

double weight(Filter filter, double x) {
  if (filter == Filter::box) return x > -0.5 && x <= 0.5 ? 1.0 : 0.0;
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
  if (x < 2.0) return (((x - 5.0) * x + 8.0) * x - 4.0) * a;
  return 0.0;
}

/**
 * The source pixels of one output pixel: `count` of them from `first`, relative to the axis'
 * `begin`.
 */
struct Span {
  int64_t first;
  int64_t count;
  const int32_t* weights;
};

/**
 * One axis: the spans of a window's outputs, and the source range [begin, begin + extent) that they
 * cover.
 */
struct Axis {
  int64_t begin;
  int64_t extent;
  std::vector<Span> spans;
  std::vector<int32_t> weights;

  Axis(Filter filter, int64_t source, int64_t scaled, int64_t start, int64_t count) {
    const double scale = static_cast<double>(source) / static_cast<double>(scaled);
    // Antialiasing: the filter widens when shrinking.
    const double stretch = std::max(scale, 1.0);
    const double reach = support(filter) * stretch;
    const auto taps = static_cast<size_t>(std::ceil(reach)) * 2 + 1;
    weights.resize(static_cast<size_t>(count) * taps);
    spans.reserve(static_cast<size_t>(count));
    std::vector<double> exact(taps);
    for (int64_t i = 0; i < count; ++i) {
      const double centre = (static_cast<double>(start + i) + 0.5) * scale;
      const auto first = static_cast<int64_t>(std::max(centre - reach + 0.5, 0.0));
      const auto end = std::min(static_cast<int64_t>(centre + reach + 0.5), source);
      double sum = 0.0;
      for (int64_t x = first; x < end; ++x) {
        // Summed in this order, because a box's edges depend on the last bit.
        const double offset = static_cast<double>(x) - centre + 0.5;
        sum += exact[static_cast<size_t>(x - first)] = weight(filter, offset * (1.0 / stretch));
      }
      int32_t* const fixed = weights.data() + static_cast<size_t>(i) * taps;
      std::transform(exact.begin(), exact.begin() + (end - first), fixed, [sum](double value) {
        value = std::ldexp(sum == 0.0 ? value : value / sum, kFractionBits);
        return static_cast<int32_t>(value < 0.0 ? value - 0.5 : value + 0.5);
      });
      spans.push_back({first, end - first, fixed});
    }
    begin = spans.front().first;
    extent = spans.back().first + spans.back().count - begin;
    for (auto& span : spans) span.first -= begin;
  }
  Axis(const Axis&) = delete;  // spans point into weights
  Axis& operator=(const Axis&) = delete;
};

uint8_t to_byte(int32_t fixed) {
  return static_cast<uint8_t>(std::clamp(fixed >> kFractionBits, 0, 255));
}

/** source [count rows, columns.extent, 3] → destination [count rows, outputs, 3] */
void resample_columns(const uint8_t* source, int64_t stride, int64_t count, const Axis& columns,
                      uint8_t* destination) {
  for (int64_t y = 0; y < count; ++y, source += stride) {
    for (const auto& span : columns.spans) {
      const uint8_t* pixel = source + span.first * kChannels;
      int32_t red = kHalf, green = kHalf, blue = kHalf;
      for (int64_t k = 0; k < span.count; ++k, pixel += kChannels) {
        red += span.weights[k] * pixel[0];
        green += span.weights[k] * pixel[1];
        blue += span.weights[k] * pixel[2];
      }
      *destination++ = to_byte(red);
      *destination++ = to_byte(green);
      *destination++ = to_byte(blue);
    }
  }
}

/** source [rows.extent, length bytes] → destination [outputs, length bytes] */
void resample_rows(const uint8_t* source, int64_t stride, int64_t length, const Axis& rows,
                   uint8_t* destination) {
  std::vector<int32_t> sums(static_cast<size_t>(length));
  for (const auto& span : rows.spans) {
    std::fill(sums.begin(), sums.end(), kHalf);
    for (int64_t k = 0; k < span.count; ++k) {
      const uint8_t* const row = source + (span.first + k) * stride;
      const int32_t row_weight = span.weights[k];
      for (int64_t x = 0; x < length; ++x) sums[static_cast<size_t>(x)] += row_weight * row[x];
    }
    destination = std::transform(sums.begin(), sums.end(), destination, to_byte);
  }
}

}  // namespace

void resample(const uint8_t* source, int64_t width, int64_t height, const Resample& target,
              uint8_t* destination) {
  Axis columns(target.filter, width, target.width, target.left, target.window_width);
  const Axis rows(target.filter, height, target.height, target.top, target.window_height);
  if (target.mirror) std::reverse(columns.spans.begin(), columns.spans.end());

  source += (rows.begin * width + columns.begin) * kChannels;
  const int64_t stride = width * kChannels;
  const int64_t source_length = columns.extent * kChannels;
  const int64_t window_length = target.window_width * kChannels;
  std::vector<uint8_t> between;
  const int64_t shrinks = height - target.height;
  if (shrinks > 0 && shrinks > 2 * (width - target.width)) {
    between.resize(static_cast<size_t>(target.window_height * source_length));
    resample_rows(source, stride, source_length, rows, between.data());
    resample_columns(between.data(), source_length, target.window_height, columns, destination);
  } else {
    between.resize(static_cast<size_t>(rows.extent * window_length));
    resample_columns(source, stride, rows.extent, columns, between.data());
    resample_rows(between.data(), window_length, window_length, rows, destination);
  }
}

}  // namespace mactok::image
