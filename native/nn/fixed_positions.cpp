#include "nn/fixed_positions.h"

namespace mactok::positions {
namespace {

/** positions · base^(−2i/width) for i < width/2: [n] -> double [n, width/2]. */
at::Tensor angles(const at::Tensor& positions, int64_t width, double base) {
  const auto exponents = at::arange(0, width, 2, at::kDouble) / static_cast<double>(width);
  return positions.to(at::kDouble).unsqueeze(1) * at::pow(base, -exponents);
}

at::Tensor columns(int64_t grid) { return at::arange(grid).repeat({grid}); }
at::Tensor rows(int64_t grid) { return at::arange(grid).repeat_interleave(grid); }

at::Tensor sines_then_cosines(const at::Tensor& positions, int64_t width) {
  const auto phases = angles(positions, width, 10000);
  return at::cat({phases.sin(), phases.cos()}, 1);
}

at::Tensor to_rotations(const at::Tensor& angles) {
  const auto rounded = angles.to(at::kFloat);
  return at::polar(at::ones_like(rounded), rounded).unsqueeze(0);
}

}  // namespace

at::Tensor sincos_1d(int64_t tokens, int64_t width) {
  TORCH_CHECK(width % 2 == 0, "positions: expected an even width but received ", width);
  const auto phases = angles(at::arange(tokens), width, 10000);  // [T, D/2]
  return at::stack({phases.sin(), phases.cos()}, 2).flatten(1).unsqueeze(0).to(at::kFloat);
}

at::Tensor sincos_2d(int64_t grid, int64_t width) {
  TORCH_CHECK(width % 4 == 0, "positions: expected a multiple of 4 as width but received ", width);
  const auto x = sines_then_cosines(columns(grid), width / 2);
  const auto y = sines_then_cosines(rows(grid), width / 2);
  return at::cat({x, y}, 1).unsqueeze(0).to(at::kFloat);
}

at::Tensor rotary_1d(int64_t tokens, int64_t head_width, double theta) {
  return to_rotations(angles(at::arange(tokens), head_width, theta));
}

at::Tensor rotary_2d(int64_t grid, int64_t head_width, double theta) {
  TORCH_CHECK(head_width % 4 == 0, "rope: expected a multiple of 4 channels per head but received ",
              head_width);
  const auto y = angles(rows(grid), head_width / 2, theta);
  const auto x = angles(columns(grid), head_width / 2, theta);
  return to_rotations(at::cat({y, x}, 1));
}

}  // namespace mactok::positions
