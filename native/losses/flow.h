#pragma once

#include "runtime/torch.h"

#include <string>

#include "flow/prediction.h"

namespace mactok {

/** SiT's weights of the loss over time, for predicted noise and score; a predicted velocity has none. */
enum class Weighting { none, velocity, likelihood };

Weighting parse_weighting(const std::string& name);

/** x_t of data and noise [B, …] at times [B]. */
at::Tensor noisy(PathKind path, const at::Tensor& data, const at::Tensor& noise,
                 const at::Tensor& times);

/** The velocity that leads from noise to data, of their shape. */
at::Tensor target_velocity(PathKind path, const at::Tensor& data, const at::Tensor& noise,
                           const at::Tensor& times);

/** Squared error of a network's output, weighted, mean over all but the batch: float32 [B] (SiT's `training_losses`). */
at::Tensor flow_loss(const FlowOptions& flow, Weighting weighting, const at::Tensor& output,
                     const at::Tensor& data, const at::Tensor& noise, const at::Tensor& times);

/**
 * 1 − cosine of predicted and true velocity over the channels (the last axis of [B, L, Z], the second of [B, C, H, W]), mean over
 * positions: float32 [B] (LightningDiT's `cos_loss`).
 */
at::Tensor direction_loss(const at::Tensor& velocity, const at::Tensor& target);

}  // namespace mactok
