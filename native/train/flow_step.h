#pragma once

#include "runtime/torch.h"

#include <cstdint>
#include <memory>
#include <vector>

#include "flow/timesteps.h"
#include "losses/flow.h"
#include "models/denoiser.h"
#include "train/training_step.h"

namespace mactok {

struct FlowLossOptions {
  Weighting weighting;
  /** Weight of the cosine loss; 0: none. */
  double direction_weight;
};

struct FlowStepOptions {
  TrainingOptions training;
  FlowOptions flow;
  FlowLossOptions loss;
  TimestepOptions timesteps;
  /** Fraction of the samples that are trained without their class. */
  double label_dropout;
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

/** What the micro-batches of a flow step share. */
struct FlowShared {
  at::Tensor lr;

  std::vector<at::Tensor*> tensors() { return {&lr}; }
};

/** A micro-batch with its draws. */
struct FlowPart {
  FlowBatch batch;
  at::Tensor noise, times;
  /** Uniform in [0, 1), [b]: labels are dropped below `label_dropout`. */
  at::Tensor label_draws;

  int64_t size() const { return batch.latents.size(0); }
  std::vector<at::Tensor*> tensors() {
    return {&batch.latents, &batch.labels, &noise, &times, &label_draws};
  }
};

/** Trains a denoiser by flow matching (SiT, LightningDiT). Metrics: total, flow, direction. */
class FlowStep : public TrainingStep<FlowShared, FlowPart> {
 public:
  FlowStep(std::shared_ptr<Denoiser> model, std::shared_ptr<Denoiser> ema, FlowStepOptions options);

  /** One update; micro-batches hold consecutive samples of the global batch. */
  void step(const std::vector<FlowBatch>& micro_batches, uint64_t step, double lr);

  /** The gradients of that step by name, without an update. */
  NamedTensors gradients(const std::vector<FlowBatch>& micro_batches, uint64_t step);

 private:
  void draw(const FlowShared& shared, const random::Samples& samples,
            FlowPart& part) const override;
  at::Tensor loss(const FlowShared& shared, const FlowPart& part, double share,
                  Meter& meter) override;

  FlowStepOptions options_;
  std::shared_ptr<Denoiser> model_;
};

}  // namespace mactok
