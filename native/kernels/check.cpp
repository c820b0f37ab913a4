#include "kernels/check.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "os/crc32c.h"

namespace mactok::kernels {
namespace {

/** Bytes that stay in a core's cache from one check to the other. */
constexpr int64_t kBlock = int64_t{1} << 20;

}  // namespace

bool is_finite(const at::Tensor& tensor) {
  if (!at::isFloatingType(tensor.scalar_type()) || tensor.numel() == 0) return true;
  // Both propagate NaN, in one pass without a temporary.
  const auto [low, high] = at::aminmax(tensor);
  return std::isfinite(low.item<double>()) && std::isfinite(high.item<double>());
}

Checked check(const at::Tensor& tensor) {
  const auto flat = tensor.flatten();
  const int64_t item = static_cast<int64_t>(flat.element_size());
  const int64_t length = kBlock / item;
  const int64_t count = (flat.numel() + length - 1) / length;
  const auto block = [&](int64_t i) {
    return flat.narrow(0, i * length, std::min(length, flat.numel() - i * length));
  };
  std::vector<Checked> blocks(static_cast<size_t>(count));
  at::parallel_for(0, count, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const auto part = block(i);
      const auto* bytes = static_cast<const uint8_t*>(part.const_data_ptr());
      blocks[i] = {.finite = is_finite(part), .crc32c = crc32c(0, bytes, part.nbytes())};
    }
  });
  Checked all{.finite = true, .crc32c = 0};
  for (int64_t i = 0; i < count; ++i) {
    all.finite = all.finite && blocks[i].finite;
    all.crc32c = join_crc32c(all.crc32c, blocks[i].crc32c, block(i).nbytes());
  }
  return all;
}

}  // namespace mactok::kernels
