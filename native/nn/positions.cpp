#include "nn/positions.h"

namespace mactok {
namespace {

/** [.., .., h, w] -> [.., .., size]. */
at::Tensor bicubic(const at::Tensor& x, at::IntArrayRef size) {
  return at::_upsample_bicubic2d_aa(x, size, /*align_corners=*/false);
}

}  // namespace

at::Tensor resample_positions(const at::Tensor& pos, int64_t prefix, std::array<int64_t, 2> from,
                              std::array<int64_t, 2> to) {
  TORCH_CHECK(pos.dim() == 3 && pos.size(1) == prefix + from[0] * from[1],
              "resample_positions: expected [1, ", prefix, " + ", from[0], "·", from[1],
              ", D] but received ", pos.sizes());
  if (from == to) return pos;
  const auto grid = pos.slice(1, prefix)
                        .to(at::kFloat)
                        .unflatten(1, {from[0], from[1]})
                        .permute({0, 3, 1, 2});  // [1, D, h, w]
  const auto resized = bicubic(grid, to).flatten(2).transpose(1, 2).to(pos.scalar_type());
  return at::cat({pos.slice(1, 0, prefix), resized}, 1);  // [1, prefix + h'·w', D]
}

at::Tensor resample_patch_kernel(const at::Tensor& kernel, int64_t patch) {
  TORCH_CHECK(kernel.dim() == 4 && kernel.size(2) == kernel.size(3),
              "resample_patch_kernel: expected [D, 3, p, p] but received ", kernel.sizes());
  const int64_t old = kernel.size(2);
  if (old == patch) return kernel;
  // Column i is the resized image of unit pixel i.
  const auto pixels =
      at::eye(old * old, kernel.options().dtype(at::kFloat)).view({-1, 1, old, old});
  const auto matrix = bicubic(pixels, {patch, patch}).flatten(1).t();  // [new², old²]
  return kernel.to(at::kFloat)
      .flatten(2)                       // [D, 3, old²]
      .matmul(at::linalg_pinv(matrix))  // [D, 3, new²]
      .unflatten(2, {patch, patch})
      .to(kernel.scalar_type());
}

}  // namespace mactok
