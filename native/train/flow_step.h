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

struct FlowStepOptions {
  TrainingOptions training;
  FlowOptions flow;
  FlowLossOptions loss;
  TimestepOptions timesteps;
  /** Fraction of the samples that are trained without their class. */
  double label_dropout;
};

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
