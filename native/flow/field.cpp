#include "flow/field.h"

#include <algorithm>

#include "runtime/cuda_library.h"
#include "runtime/float64.h"

namespace mactok {

at::Tensor vector_like(const std::vector<double>& values, const at::Tensor& x) {
  if (values.size() == 1)
    return at::full({1}, values[0], x.options().dtype(widest_float(x.device())));
  return upload(at::tensor(values, at::kDouble), x.device());
}

at::Tensor index_like(const std::vector<int64_t>& values, const at::Tensor& x) {
  return upload(at::tensor(values, at::kLong), x.device());
}

Field::Field(std::shared_ptr<const Denoiser> model, FlowOptions flow, at::Tensor labels,
             Guidance guidance)
    : model_(std::move(model)),
      flow_(flow),
      labels_(std::move(labels)),
      guidance_(std::move(guidance)) {}

Estimate Field::operator()(const at::Tensor& x, const std::vector<double>& times,
                           const std::vector<int64_t>& rows) {
  const auto count = static_cast<size_t>(x.size(0));
  std::vector<int64_t> guided;
  for (size_t i = 0; i < count && guidance_.scale != 1; ++i) {
    // The last step of an adaptive method may pass the end.
    const double t = std::min(1.0, times[times.size() == 1 ? 0 : i]);
    if (t >= guidance_.low && t <= guidance_.high) guided.push_back(static_cast<int64_t>(i));
  }
  const auto t = vector_like(times, x);
  const auto labels = rows.empty() ? labels_ : labels_.index_select(0, index_like(rows, x));
  const auto prediction =
      output(x.to(at::kFloat), t.to(at::kFloat).expand({x.size(0)}), labels, guided);
  ++evaluations_.field;
  evaluations_.samples += x.size(0);
  evaluations_.guiding += static_cast<int64_t>(guided.size());
  return interpret(flow_, prediction.to(x.scalar_type()), x, t);
}

at::Tensor Field::output(const at::Tensor& x, const at::Tensor& times, const at::Tensor& labels,
                         const std::vector<int64_t>& guided) {
  if (guided.empty()) return predict(*model_, flow_, x, times, labels);
  const bool all_rows = static_cast<int64_t>(guided.size()) == x.size(0);
  const auto rows = all_rows ? at::Tensor() : index_like(guided, x);
  const auto pick = [&](const at::Tensor& all) {
    return all_rows ? all : all.index_select(0, rows);
  };
  at::Tensor good, weak;
  if (guidance_.weak) {
    good = predict(*model_, flow_, x, times, labels);
    weak = predict(*guidance_.weak, flow_, pick(x), pick(times), pick(labels));
  } else {
    const auto none = at::full_like(pick(labels), model_->classes());
    const auto both = predict(*model_, flow_, at::cat({x, pick(x)}), at::cat({times, pick(times)}),
                              at::cat({labels, none}));
    const auto parts = both.split_with_sizes({x.size(0), none.size(0)});
    good = parts[0], weak = parts[1];
  }
  const auto guided_rows = guide(pick(good), weak);
  return all_rows ? guided_rows : good.index_copy(0, rows, guided_rows);
}

at::Tensor Field::guide(const at::Tensor& good, const at::Tensor& weak) const {
  const auto guided = weak + guidance_.scale * (good - weak);
  // The channels' axis of [B, L, Z] and [B, C, H, W].
  const int64_t axis = good.dim() == 3 ? 2 : 1;
  const int64_t channels = guidance_.channels;
  if (channels == 0 || channels >= good.size(axis)) return guided;
  const auto rest = good.narrow(axis, channels, good.size(axis) - channels);
  return at::cat({guided.narrow(axis, 0, channels), rest}, axis);
}

}  // namespace mactok
