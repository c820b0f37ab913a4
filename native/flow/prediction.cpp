#include "flow/prediction.h"

namespace mactok {

at::Tensor predict(const Denoiser& model, const FlowOptions& flow, const at::Tensor& x,
                   const at::Tensor& times, const at::Tensor& labels) {
  if (flow.time == TimeDirection::data_at_one) return model.forward(x, times, labels);
  const auto output = model.forward(x, 1 - times, labels);
  return flow.prediction == Prediction::velocity ? -output : output;
}

Estimate interpret(const FlowOptions& flow, const at::Tensor& output, const at::Tensor& x,
                   const at::Tensor& times) {
  const auto c = coefficients_like(flow.path, times, x);
  if (flow.prediction == Prediction::velocity) {
    const auto noise =
        (c.d_alpha * x - c.alpha * output) / (c.d_alpha * c.sigma - c.alpha * c.d_sigma);
    return {.velocity = output, .noise = noise};
  }
  const auto noise = flow.prediction == Prediction::noise ? output : -c.sigma * output;
  return {.velocity = c.ratio * x - (c.ratio * c.sigma - c.d_sigma) * noise, .noise = noise};
}

at::Tensor data_estimate(PathKind path, const at::Tensor& x, const at::Tensor& velocity,
                         const at::Tensor& times) {
  const auto c = coefficients_like(path, times, x);
  return (c.d_sigma * x - c.sigma * velocity) / (c.alpha * c.d_sigma - c.sigma * c.d_alpha);
}

Interval training_interval(const FlowOptions& flow) {
  if (flow.path == PathKind::vp) return {.start = 0, .end = 1 - 1e-5};
  return sampling_interval(flow);
}

Interval sampling_interval(const FlowOptions& flow) {
  if (flow.path == PathKind::vp) return {.start = 0, .end = 1 - 1e-3};
  if (flow.prediction == Prediction::velocity) return {.start = 0, .end = 1};
  return {.start = 1e-3, .end = 1 - 1e-3};
}

}  // namespace mactok
