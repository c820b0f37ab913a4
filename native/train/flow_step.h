#pragma once

#include "runtime/torch.h"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "flow/timesteps.h"
#include "losses/flow.h"
#include "models/denoiser.h"
#include "runtime/autocast.h"
#include "runtime/replay.h"
#include "train/ema.h"
#include "train/meter.h"
#include "train/optimizer.h"

namespace mactok {

struct FlowLossOptions {
  Weighting weighting;
  double direction_weight;  ///< of the cosine loss; 0: none
};

struct FlowStepOptions {
  uint64_t seed;
  Precision precision;
  bool graphs;  // replay steps as CUDA graphs; see Replay
  FlowOptions flow;
  FlowLossOptions loss;
  TimestepOptions timesteps;
  double label_dropout;  ///< part of the samples that are trained without their class
  OptimizerOptions optimizer;
  EmaOptions ema;
};

/** Normalised latents float32 [b, L, Z] or [b, C, H, W] with their classes int64 [b]. */
struct FlowBatch {
  at::Tensor latents, labels;
};

/** The losses of a batch, one a sample, given its noise and times: flow and, where it has a weight, direction. */
struct FlowLosses {
  at::Tensor flow, direction;  // float32 [B]; direction undefined without a weight
};

FlowLosses flow_losses(const Denoiser& model, const FlowOptions& flow, const FlowLossOptions& loss,
                       const FlowBatch& batch, const at::Tensor& noise, const at::Tensor& times);

/**
 * Trains a denoiser by flow matching (method: SiT, LightningDiT): noise, time and label drop of a sample depend on (seed, step,
 * position in the global batch) alone, so that accumulation and resuming change nothing. The host never waits for the device.
 */
class FlowStep {
 public:
  FlowStep(std::shared_ptr<Denoiser> model, std::shared_ptr<Denoiser> ema, FlowStepOptions options);
  FlowStep(const FlowStep&) = delete;
  FlowStep& operator=(const FlowStep&) = delete;

  /** One update; micro-batches hold consecutive samples of the global batch. */
  void step(const std::vector<FlowBatch>& micro_batches, uint64_t step, double lr);

  /** The gradients of that step by name, without an update. */
  NamedTensors gradients(const std::vector<FlowBatch>& micro_batches, uint64_t step);

  /**
   * See Meter: total, flow, direction, gradNorm; `skippedInARow` is the number of steps up to now that changed nothing because
   * something was not finite.
   */
  std::map<std::string, double> metrics();

  /** Groups of a checkpoint: model, ema, optimizer. Live tensors. */
  std::map<std::string, NamedTensors> state() const;

 private:
  /** The rate; then latents, labels and draws of each micro-batch. On the device. */
  Inputs prepare(const std::vector<FlowBatch>& micro_batches, uint64_t step, double lr) const;
  /** Whether a loss was not finite, a float scalar. */
  at::Tensor backward(const Inputs& inputs, Meter& meter);
  at::Tensor loss(const std::map<std::string, at::Tensor>& part, double share, Meter& meter) const;
  Outputs update(const Inputs& inputs);

  FlowStepOptions options_;
  std::shared_ptr<Denoiser> model_, ema_model_;
  NamedTensors parameters_;  // what is trained: not the fixed positions
  AdamW optimizer_;
  Ema ema_;
  Meter meter_;
  at::Tensor skipped_in_row_;  // float scalar
  Replay update_;
};

}  // namespace mactok
