#include "nn/rope.h"

#include <numbers>

#include "runtime/random.h"

namespace mactok::rope {

at::Tensor rotation(const at::Tensor& freqs, int64_t heads, int64_t grid, int64_t first,
                    int64_t tokens) {
  const auto side = at::arange(grid, freqs.options());
  const auto x = side.repeat({grid}).unsqueeze(1);           // [N, 1]: 0 1 2 … 0 1 2 …
  const auto y = side.repeat_interleave(grid).unsqueeze(1);  // [N, 1]: 0 0 0 … 1 1 1 …
  const auto patches = (x * freqs[0] + y * freqs[1])         // [N, D/2]
                           .unflatten(1, {heads, -1})
                           .transpose(0, 1);  // [heads, N, d/2]
  const int64_t rest = tokens - first - grid * grid;
  const auto angles = at::constant_pad_nd(patches, {0, 0, first, rest});  // [heads, T, d/2]
  return at::polar(at::ones_like(angles), angles);
}

at::Tensor rotate(const at::Tensor& x, const at::Tensor& rotation) {
  if (x.is_cuda()) {
    // Factors of x itself, where complex numbers would keep a float32 copy of it for the gradient.
    const auto cos = at::real(rotation), sin = at::imag(rotation);
    const auto pairs = x.unflatten(-1, {-1, 2}).unbind(-1);  // [B, heads, T, d/2] each
    const auto &a = pairs[0], &b = pairs[1];
    return at::stack({a * cos - b * sin, a * sin + b * cos}, -1).flatten(-2).to(x.scalar_type());
  }
  const auto pairs =
      at::view_as_complex(x.to(at::kFloat).unflatten(-1, {-1, 2}));  // [B, heads, T, d/2]
  return at::view_as_real(pairs * rotation).flatten(-2).to(x.scalar_type());
}

at::Tensor initial_frequencies(uint64_t seed, const std::string& name, int64_t depth, int64_t heads,
                               int64_t head_width, double theta) {
  const auto exponents = at::arange(0, head_width, 4, at::kFloat) / static_cast<double>(head_width);
  const auto magnitude = at::pow(theta, -exponents);  // [d/4]
  const auto angle = random::uniform(seed, "init/" + name, 0, 0, depth, heads)
                         .mul_(2 * std::numbers::pi)
                         .unsqueeze(-1);  // [depth, heads, 1]
  const auto orthogonal = angle + std::numbers::pi / 2;
  const auto x = at::cat({magnitude * angle.cos(), magnitude * orthogonal.cos()}, -1);
  const auto y = at::cat({magnitude * angle.sin(), magnitude * orthogonal.sin()}, -1);
  return at::stack({x, y}).flatten(2);  // [2, depth, heads·d/2]
}

}  // namespace mactok::rope
