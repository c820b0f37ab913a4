#include "masking/mask.h"

#include "runtime/float64.h"

namespace mactok {

MaskDraws draw_mask(const MaskOptions& options, const random::Samples& samples, int64_t tokens,
                    bool semantic) {
  const auto draw_units = [&](const char* stream) {
    return options.per == MaskUnit::batch ? samples.shared_uniform(stream, 1)
                                          : samples.uniform(stream, 1);
  };
  return {.ratio = draw_units("mask/ratio"),
          .random = samples.uniform("mask/random", tokens),
          .semantic = semantic ? draw_units("mask/semantic") : at::Tensor()};
}

at::Tensor rank_mask(const at::Tensor& scores, const at::Tensor& counts) {
  const auto order = std::get<1>(at::sort(scores, /*stable=*/true, /*dim=*/1, /*descending=*/true));
  const auto ranks = at::arange(scores.size(1), order.options()).expand_as(order);
  return at::empty_like(order).scatter_(1, order, ranks) < counts;  // [B, N]
}

at::Tensor image_mask(const MaskOptions& options, const at::Tensor& semantic_scores,
                      const MaskDraws& draws) {
  auto scores = draws.random;  // [B, N]
  const auto unit = to_widest_float(draws.ratio);
  const auto ratios = (unit * (options.max_ratio - options.min_ratio) + options.min_ratio)
                          .clamp(0, options.max_ratio);
  const auto counts = (ratios * static_cast<double>(scores.size(1))).ceil().to(at::kLong);
  if (semantic_scores.defined()) {
    const auto semantic = to_widest_float(draws.semantic) < options.semantic;
    scores = at::where(semantic, semantic_scores.to(scores.options()), scores);
  }
  return rank_mask(scores, counts);
}

}  // namespace mactok
