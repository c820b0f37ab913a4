#include "train/diff_augment.h"

#include "runtime/float64.h"

namespace mactok {
namespace {

/** An integer in [0, count) for each uniform draw; int64 [B, 1]. */
at::Tensor integers(const at::Tensor& uniform, int64_t count) {
  return (uniform * static_cast<double>(count)).to(at::kLong).clamp_max(count - 1).view({-1, 1});
}

/** `ratio` of a side in whole pixels, rounded to the nearest. */
int64_t pixels_of(int64_t size, double ratio) {
  return static_cast<int64_t>(static_cast<double>(size) * ratio + .5);
}

/** strengths: [B, 3]. */
at::Tensor recolor(const at::Tensor& images, const at::Tensor& strengths) {
  const auto strength = [&strengths](int64_t i) {
    return strengths.select(1, i).view({-1, 1, 1, 1});
  };
  auto x = images + (strength(0) - .5);
  const auto grey = x.mean(1, /*keepdim=*/true);
  x = (x - grey) * (2 * strength(1)) + grey;
  const auto mean = x.mean({1, 2, 3}, /*keepdim=*/true);
  return (x - mean) * (strength(2) + .5) + mean;
}

/** Moves pixel i + shift of dimension `dim` (2 or 3) to i, with 0 from outside. uniform: [B]. */
at::Tensor shift(const at::Tensor& images, int64_t dim, const at::Tensor& uniform, double ratio) {
  const int64_t size = images.size(dim), most = pixels_of(size, ratio);
  const auto shifts = integers(uniform, 2 * most + 1) - most;                    // [B, 1]
  const auto source = at::arange(size, shifts.options()).unsqueeze(0) + shifts;  // [B, size]
  const auto inside = source.ge(0).logical_and_(source.lt(size)).to(images.scalar_type());
  const auto along = [dim](const at::Tensor& x) {
    return dim == 2 ? x.view({x.size(0), 1, -1, 1}) : x.view({x.size(0), 1, 1, -1});
  };
  const auto index = along(source.clamp(0, size - 1)).expand_as(images);
  return images.gather(dim, index) * along(inside);
}

/** Which rows (or columns) the square covers, bool [B, size]. */
at::Tensor covered(const at::Tensor& uniform, int64_t size, double ratio) {
  const int64_t side = pixels_of(size, ratio);
  const auto first = integers(uniform, size + 1 - side % 2) - side / 2;  // [B, 1]
  const auto position = at::arange(size, first.options()).unsqueeze(0);
  return position.ge(first).logical_and_(position.lt(first + side));
}

/** strengths: [B, 2]. */
at::Tensor cut_out(const at::Tensor& images, const at::Tensor& strengths, double ratio) {
  const auto rows = covered(strengths.select(1, 0), images.size(2), ratio);
  const auto columns = covered(strengths.select(1, 1), images.size(3), ratio);
  const auto square = rows.unsqueeze(2).logical_and(columns.unsqueeze(1));  // [B, H, W]
  return images.masked_fill(square.unsqueeze(1), 0);
}

}  // namespace

at::Tensor diff_augment(const at::Tensor& images, const DiffAugmentOptions& options,
                        const DiffAugmentDraws& draws) {
  const auto& strengths = draws.strengths;
  // Chosen on the device: the host does the same work in every step, which can then be replayed.
  const auto by_coin = [&](int64_t i, const at::Tensor& augmented, const at::Tensor& plain) {
    if (options.probability >= 1) return augmented;
    return at::where(to_widest_float(draws.coins.select(1, i)) < options.probability, augmented,
                     plain);
  };
  auto x = images;
  if (options.probability <= 0) return x;
  if (options.color) x = by_coin(0, recolor(x, strengths.narrow(1, 0, 3)), x);
  if (options.translation > 0) {
    const auto down = shift(x, 2, strengths.select(1, 3), options.translation);
    x = by_coin(1, shift(down, 3, strengths.select(1, 4), options.translation), x);
  }
  if (options.cutout > 0) x = by_coin(2, cut_out(x, strengths.narrow(1, 5, 2), options.cutout), x);
  return x;
}

}  // namespace mactok
