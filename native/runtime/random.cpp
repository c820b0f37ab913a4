#include "runtime/random.h"

#include <ATen/Parallel.h>
#include <ATen/core/PhiloxRNGEngine.h>

#include <cmath>
#include <numbers>

namespace mactok::random {
namespace {

uint64_t stream_key(uint64_t seed, std::string_view stream) {
  uint64_t hash = 0xcbf29ce484222325ULL;  // FNV-1a, 64 bits
  const auto absorb = [&hash](uint64_t byte) { hash = (hash ^ byte) * 0x100000001b3ULL; };
  for (const char character : stream) absorb(static_cast<unsigned char>(character));
  for (int shift = 0; shift < 64; shift += 8) absorb((seed >> shift) & 0xff);
  return hash;
}

/**
 * Calls `fill(engine, row)` for each row, with the engine at the counter of sample `index_of(row)`.
 */
template <typename IndexOf, typename Fill>
at::Tensor draw_rows(uint64_t seed, std::string_view stream, uint64_t step, IndexOf index_of,
                     int64_t rows, int64_t columns, Fill fill) {
  auto values = at::empty({rows, columns}, at::kFloat);
  float* data = values.data_ptr<float>();
  const uint64_t key = stream_key(seed, stream);
  at::parallel_for(0, rows, 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      at::philox_engine engine(key, index_of(row), step << 32);
      fill(engine, data + row * columns);
    }
  });
  return values;
}

auto consecutive(uint64_t first_index) {
  return [first_index](int64_t row) { return first_index + static_cast<uint64_t>(row); };
}

float to_unit(uint32_t bits) { return static_cast<float>(bits >> 8) * 0x1p-24F; }

/** Box–Muller in double precision, rounded to float32. */
void fill_normal(at::philox_engine& engine, float* row, int64_t columns) {
  for (int64_t i = 0; i < columns; i += 2) {
    const double radius = std::sqrt(-2.0 * std::log((engine() + 0.5) * 0x1p-32));
    const double angle = 2.0 * std::numbers::pi * (engine() * 0x1p-32);
    row[i] = static_cast<float>(radius * std::cos(angle));
    if (i + 1 < columns) row[i + 1] = static_cast<float>(radius * std::sin(angle));
  }
}

}  // namespace

at::Tensor uniform(uint64_t seed, std::string_view stream, uint64_t step, uint64_t first_index,
                   int64_t rows, int64_t columns) {
  return draw_rows(seed, stream, step, consecutive(first_index), rows, columns,
                   [columns](at::philox_engine& engine, float* row) {
                     for (int64_t i = 0; i < columns; ++i) row[i] = to_unit(engine());
                   });
}

at::Tensor normal(uint64_t seed, std::string_view stream, uint64_t step, uint64_t first_index,
                  int64_t rows, int64_t columns) {
  return draw_rows(
      seed, stream, step, consecutive(first_index), rows, columns,
      [columns](at::philox_engine& engine, float* row) { fill_normal(engine, row, columns); });
}

at::Tensor normal(uint64_t seed, std::string_view stream, uint64_t step,
                  const std::vector<uint64_t>& indices, int64_t columns) {
  return draw_rows(
      seed, stream, step, [&indices](int64_t row) { return indices[static_cast<size_t>(row)]; },
      static_cast<int64_t>(indices.size()), columns,
      [columns](at::philox_engine& engine, float* row) { fill_normal(engine, row, columns); });
}

}  // namespace mactok::random
