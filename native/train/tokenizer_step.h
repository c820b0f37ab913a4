#pragma once

#include "runtime/torch.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "runtime/autocast.h"
#include "runtime/replay.h"
#include "train/ema.h"
#include "train/generator_loss.h"
#include "train/meter.h"
#include "train/optimizer.h"

namespace mactok {

struct TokenizerStepOptions {
  Precision precision;
  bool graphs;  // replay steps as CUDA graphs; see Replay
  GeneratorLossOptions loss;
  OptimizerOptions optimizer;
  EmaOptions ema;
};

/** What changes from step to step. */
struct StepSchedule {
  uint64_t step;
  double lr;
  /** Of the loss; the perceptual and the adversarial term are not computed where theirs is 0. */
  struct {
    double reconstruction, kl, alignment, perceptual, adversarial;
  } weights;
};

/**
 * Trains a tokenizer (method.md §5, §6): GeneratorLoss, AdamW, EMA; then, where the adversarial weight is not 0, its discriminator on
 * the same reconstructions. With `decoder_only` nothing writes the encoder, the latents' projection, or their averages.
 *
 * Every random draw is a function of (seed, step, position in the global batch); micro-batches hold consecutive positions, so
 * that accumulation sees the masks and the noise of one big batch. They are made on the host, before the work of the device, which
 * is the same from step to step and can be replayed.
 */
class TokenizerStep {
 public:
  /** networks.heads are made here. `teacher` may be null when neither alignment nor semantic masking asks for it. */
  TokenizerStep(GeneratorNetworks networks, std::shared_ptr<Tokenizer> ema,
                TokenizerStepOptions options);
  TokenizerStep(const TokenizerStep&) = delete;
  TokenizerStep& operator=(const TokenizerStep&) = delete;

  /**
   * One update. Images uint8 [b, H, W, 3] or float32 [b, 3, H, W]; `features` is empty, or has the teacher's for each micro-batch
   * (see GeneratorLoss).
   */
  void step(const std::vector<at::Tensor>& micro_batches, const StepSchedule& schedule,
            const std::vector<at::Tensor>& features = {});

  /** The generator's gradients of that step by name, without an update. */
  NamedTensors gradients(const std::vector<at::Tensor>& micro_batches,
                         const StepSchedule& schedule);

  /**
   * See Meter; `skippedInARow` is the number of steps up to now that changed nothing because something was not finite, and
   * `discriminatorCalls` counts the passes of the discriminator's heads.
   */
  std::map<std::string, double> metrics();

  /** Groups of a checkpoint: model, ema, alignment, optimizer, discriminator, discriminator_optimizer. Live tensors. */
  std::map<std::string, NamedTensors> state() const;

 private:
  struct MicroBatch {
    at::Tensor images, prediction;  // float32 [b, 3, H, W]
    Draws draws;
    double share;
  };

  /** After the backward passes of a step: what the discriminator learns from, and whether a loss was not finite (float scalar). */
  struct Pass {
    std::vector<MicroBatch> judged;
    at::Tensor broken;
  };

  /** The schedule's numbers; then images, features and draws of each micro-batch. On the device. */
  Inputs prepare(const std::vector<at::Tensor>& micro_batches,
                 const std::vector<at::Tensor>& features, const StepSchedule& schedule) const;
  Pass backward(const Inputs& inputs, Meter& meter);
  at::Tensor train_discriminator(const Inputs& inputs, const std::vector<MicroBatch>& batches,
                                 Meter& meter);
  Outputs update(const Inputs& inputs);

  TokenizerStepOptions options_;
  GeneratorNetworks networks_;
  std::shared_ptr<Tokenizer> ema_model_;
  GeneratorLoss loss_;
  NamedTensors parameters_;  // what is trained: tokenizer and alignment heads
  AdamW optimizer_;
  Ema ema_;
  Meter meter_;
  at::Tensor skipped_in_row_;  // float scalar
  Replay update_;
};

/** Images as the networks take them: float32 [B, 3, H, W] in [−1, 1] on `device`. */
at::Tensor to_network_images(const at::Tensor& images, at::Device device);

/** A model's parameters by name, live. */
NamedTensors named_parameters(const torch::nn::Module& module);

/** A model's parameters and buffers by name, live. */
NamedTensors named_tensors(const torch::nn::Module& module);

}  // namespace mactok
