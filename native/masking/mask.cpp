#include "masking/mask.h"

#include <string_view>

#include "runtime/random.h"

namespace mactok {
namespace {

/** One uniform a sample, or the same one for all: float64 [batch]. */
at::Tensor draw(const MaskOptions& options, std::string_view stream, uint64_t seed, uint64_t step,
                uint64_t first_index, int64_t batch) {
  const auto values =
      options.per_batch
          ? random::uniform(seed, stream, step, random::kWholeBatch, 1, 1).expand({batch, 1})
          : random::uniform(seed, stream, step, first_index, batch, 1);
  return values.select(1, 0).to(at::kDouble);
}

}  // namespace

at::Tensor draw_ratios(const MaskOptions& options, uint64_t seed, uint64_t step,
                       uint64_t first_index, int64_t batch) {
  const auto unit = draw(options, "mask/ratio", seed, step, first_index, batch);
  return (unit * (options.max_ratio - options.min_ratio) + options.min_ratio)
      .clamp(0, options.max_ratio);
}

at::Tensor mask_counts(const at::Tensor& ratios, int64_t tokens) {
  return (ratios.to(at::kDouble) * static_cast<double>(tokens)).ceil().to(at::kLong);
}

at::Tensor rank_mask(const at::Tensor& scores, const at::Tensor& counts) {
  const auto order = std::get<1>(at::sort(scores, /*stable=*/true, /*dim=*/1, /*descending=*/true));
  const auto ranks = at::arange(scores.size(1), order.options()).expand_as(order);
  return at::empty_like(order).scatter_(1, order, ranks) < counts.unsqueeze(1);  // [B, N]
}

at::Tensor image_mask(const MaskOptions& options, const at::Tensor& semantic_scores, uint64_t seed,
                      uint64_t step, uint64_t first_index, int64_t batch, int64_t tokens,
                      at::Device device) {
  const auto ratios = draw_ratios(options, seed, step, first_index, batch);
  auto scores = random::uniform(seed, "mask/random", step, first_index, batch, tokens).to(device);
  if (semantic_scores.defined()) {
    const auto coins = draw(options, "mask/semantic", seed, step, first_index, batch);
    const auto semantic = (coins < options.semantic).unsqueeze(1).to(device);  // [B, 1]
    scores = at::where(semantic, semantic_scores.to(scores.options()), scores);
  }
  return rank_mask(scores, mask_counts(ratios, tokens).to(device));
}

}  // namespace mactok
