#include "train/ema.h"

#include "kernels/foreach.h"
#include "runtime/float64.h"

namespace mactok {

Ema::Ema(EmaOptions options, std::vector<at::Tensor> parameters, std::vector<at::Tensor> averages,
         at::Device device)
    : options_(options),
      parameters_(std::move(parameters)),
      averages_(std::move(averages)),
      updates_(at::zeros({}, at::TensorOptions(device).dtype(widest_float(device)))) {}

void Ema::update(const at::Tensor& skipped) {
  const at::NoGradGuard no_grad;
  const auto kept = 1.0 - to_widest_float(skipped);
  const auto decay = options_.warmup ? ((updates_ + 1) / (updates_ + 10)).clamp_max(options_.decay)
                                     : at::full_like(updates_, options_.decay);
  const auto weight = ((1.0 - decay) * kept).to(at::kFloat);
  if (!averages_.empty()) kernels::lerp(averages_, parameters_, weight);
  updates_.add_(kept);
}

}  // namespace mactok
