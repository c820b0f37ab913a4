#pragma once

#include "runtime/torch.h"

#include "flow/prediction.h"

namespace mactok {

/** SiT's weighting of the loss over time, for predicted noise and score only. */
enum class Weighting { none, velocity, likelihood };

/** x_t of data and noise [B, …] at times [B]. */
at::Tensor noisy(PathKind path, const at::Tensor& data, const at::Tensor& noise,
                 const at::Tensor& times);

/** The velocity from noise to data, of their shape. */
at::Tensor target_velocity(PathKind path, const at::Tensor& data, const at::Tensor& noise,
                           const at::Tensor& times);

/**
 * Weighted squared error of a network's output, the mean over all but the batch: float32 [B] (SiT's
 * `training_losses`).
 */
at::Tensor flow_loss(const FlowOptions& flow, Weighting weighting, const at::Tensor& output,
                     const at::Tensor& data, const at::Tensor& noise, const at::Tensor& times);

/**
 * 1 − cosine similarity of predicted and true velocity over the channels (the last axis of
 * [B, L, Z], the second of [B, C, H, W]), the mean over positions: float32 [B] (LightningDiT's
 * `cos_loss`).
 */
at::Tensor direction_loss(const at::Tensor& velocity, const at::Tensor& target);

struct FlowLossOptions {
  Weighting weighting;
  /** Weight of the cosine loss; 0: none. */
  double direction_weight;
};

/** Normalised latents float32 [b, L, Z] or [b, C, H, W] with their classes int64 [b]. */
struct FlowBatch {
  at::Tensor latents, labels;
};

/** The losses of each sample, float32 [B]; `direction` is undefined without a weight. */
struct FlowLosses {
  at::Tensor flow, direction;
};

/** The losses of a batch for given noise, of the latents' shape, and times [B]. */
FlowLosses flow_losses(const Denoiser& model, const FlowOptions& flow, const FlowLossOptions& loss,
                       const FlowBatch& batch, const at::Tensor& noise, const at::Tensor& times);

}  // namespace mactok
