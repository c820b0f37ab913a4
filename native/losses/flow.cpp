#include "losses/flow.h"

#include "runtime/profiler.h"

namespace mactok {

at::Tensor noisy(PathKind path, const at::Tensor& data, const at::Tensor& noise,
                 const at::Tensor& times) {
  const auto c = coefficients_like(path, times, data);
  return c.alpha * data + c.sigma * noise;
}

at::Tensor target_velocity(PathKind path, const at::Tensor& data, const at::Tensor& noise,
                           const at::Tensor& times) {
  const auto c = coefficients_like(path, times, data);
  return c.d_alpha * data + c.d_sigma * noise;
}

at::Tensor flow_loss(const FlowOptions& flow, Weighting weighting, const at::Tensor& output,
                     const at::Tensor& data, const at::Tensor& noise, const at::Tensor& times) {
  if (flow.prediction == Prediction::velocity) {
    const auto target = target_velocity(flow.path, data, noise, times);
    return (output - target).square().flatten(1).mean(1);
  }
  const auto c = coefficients_like(flow.path, times, data);
  const auto error =
      flow.prediction == Prediction::noise ? output - noise : output * c.sigma + noise;
  auto loss = error.square();
  // The score enters the velocity with the factor sigma·(ratio·sigma − d_sigma).
  const auto part = c.ratio * c.sigma - c.d_sigma;
  if (weighting == Weighting::velocity) loss = part.square() * loss;
  if (weighting == Weighting::likelihood) loss = part / c.sigma * loss;
  return loss.flatten(1).mean(1);
}

at::Tensor direction_loss(const at::Tensor& velocity, const at::Tensor& target) {
  const int64_t channels = velocity.dim() == 3 ? -1 : 1;
  return (1 - at::cosine_similarity(velocity, target, channels)).flatten(1).mean(1);
}

FlowLosses flow_losses(const Denoiser& model, const FlowOptions& flow, const FlowLossOptions& loss,
                       const FlowBatch& batch, const at::Tensor& noise, const at::Tensor& times) {
  const auto& [latents, labels] = batch;
  Phase phase("network");
  const auto x = noisy(flow.path, latents, noise, times);
  const auto output = predict(model, flow, x, times, labels);
  phase.next("losses");
  FlowLosses losses;
  losses.flow = flow_loss(flow, loss.weighting, output, latents, noise, times);
  if (loss.direction_weight > 0) {
    const auto velocity = interpret(flow, output, x, times).velocity;
    losses.direction = direction_loss(velocity, target_velocity(flow.path, latents, noise, times));
  }
  return losses;
}

}  // namespace mactok
