#pragma once

#include "runtime/torch.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "train/tokenizer_loss.h"
#include "train/training_step.h"

namespace mactok {

struct TokenizerStepOptions {
  TrainingOptions training;
  TokenizerLossOptions loss;
};

/** What changes from step to step. */
struct StepSchedule {
  uint64_t step;
  double lr;
  /** The perceptual and the adversarial term are not computed where their weight is 0. */
  LossWeights<double> weights;
};

/** What the micro-batches of a tokenizer's step share. */
struct TokenizerShared {
  at::Tensor lr;
  LossWeights<at::Tensor> weights;

  std::vector<at::Tensor*> tensors();
};

/**
 * Trains a tokenizer (method.md §5, §6), then, where the adversarial weight is not 0, its
 * discriminator on the same reconstructions. With `decoder_only` it never writes the encoder,
 * `to_posterior` or their averages.
 */
class TokenizerStep : public TrainingStep<TokenizerShared, TokenizerPart> {
 public:
  TokenizerStep(TokenizerNetworks networks, std::shared_ptr<Tokenizer> ema,
                TokenizerStepOptions options);

  /**
   * One update. Images uint8 [b, H, W, 3] or float32 [b, 3, H, W]; `features` is empty, or has the
   * teacher's for each micro-batch (see TokenizerPart).
   */
  void step(const std::vector<at::Tensor>& micro_batches, const StepSchedule& schedule,
            const std::vector<at::Tensor>& features = {});

  /** The gradients of that step by name, without an update. */
  NamedTensors gradients(const std::vector<at::Tensor>& micro_batches,
                         const StepSchedule& schedule);

  /** Also `discriminatorCalls`, the passes through the discriminator's heads. */
  std::map<std::string, double> metrics() override;

  /** Also the groups alignment, discriminator and discriminator_optimizer. */
  std::map<std::string, NamedTensors> state() const override;

 private:
  TokenizerShared make_shared_inputs(const StepSchedule& schedule) const;

  void draw(const TokenizerShared& shared, const random::Samples& samples,
            TokenizerPart& part) const override;
  void begin(const Inputs& inputs) override;
  at::Tensor loss(const TokenizerShared& shared, const TokenizerPart& part, double share,
                  Meter& meter) override;
  at::Tensor backward_others(const Inputs& inputs, Meter& meter) override;
  void update_others(const Inputs& inputs, const at::Tensor& skipped, Meter& meter) override;
  void discard(const Inputs& inputs) override;

  TokenizerNetworks networks_;
  TokenizerLoss loss_;
  /** The step's micro-batches so far, kept for the discriminator's update. */
  std::vector<DiscriminatorStep::Part> reconstructions_;
};

}  // namespace mactok
