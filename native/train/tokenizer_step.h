#pragma once

#include <torch/torch.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "losses/alignment.h"
#include "masking/mask.h"
#include "models/teacher.h"
#include "models/tokenizer.h"
#include "runtime/autocast.h"
#include "train/ema.h"
#include "train/meter.h"
#include "train/optimizer.h"

namespace mactok {

struct TokenizerStepOptions {
  uint64_t seed;
  Precision precision;
  MaskOptions masking;
  AlignmentOptions alignment;
  bool align_on_mean;              // else on the sampled latents
  std::string reconstruction;      // "mse" | "l1"
  OptimizerOptions optimizer;
  EmaOptions ema;
};

/** What changes from step to step. */
struct StepSchedule {
  uint64_t step;
  double lr;
  double reconstruction_weight, kl_weight, alignment_weight;
};

/**
 * Trains a tokenizer: masks, posterior sample, reconstruction, KL and alignment (method: MacTok §3), AdamW, EMA.
 *
 * Every random draw is a function of (seed, step, position in the global batch); micro-batches hold consecutive positions, so
 * that accumulation sees the masks and the noise of one big batch.
 */
class TokenizerStep {
 public:
  /** `teacher` may be null when neither alignment nor semantic masking asks for it. */
  TokenizerStep(std::shared_ptr<Tokenizer> tokenizer, std::shared_ptr<Tokenizer> ema,
                std::shared_ptr<Teacher> teacher, TokenizerStepOptions options);

  /** One update. Images uint8 [b, H, W, 3] or float32 [b, 3, H, W]. */
  void step(const std::vector<at::Tensor>& micro_batches, const StepSchedule& schedule);

  /** The gradients of that step by name, without an update. */
  NamedTensors gradients(const std::vector<at::Tensor>& micro_batches, const StepSchedule& schedule);

  std::map<std::string, double> metrics() { return meter_.read(); }

  /** Groups of a checkpoint: model, ema, alignment, optimizer. Live tensors. */
  std::map<std::string, NamedTensors> state() const;

 private:
  void backward(const std::vector<at::Tensor>& micro_batches, const StepSchedule& schedule);
  at::Tensor loss(const at::Tensor& images, const StepSchedule& schedule, uint64_t first_index,
                  double share);

  TokenizerStepOptions options_;
  std::shared_ptr<Tokenizer> tokenizer_;
  std::shared_ptr<Tokenizer> ema_model_;
  std::shared_ptr<Teacher> teacher_;
  std::shared_ptr<AlignmentHeads> heads_;
  NamedTensors parameters_;  // what is trained: tokenizer and alignment heads
  AdamW optimizer_;
  Ema ema_;
  Meter meter_;
};

/** Pictures as the networks take them: float32 [B, 3, H, W] in [−1, 1] on `device`. */
at::Tensor to_network_images(const at::Tensor& images, at::Device device);

/** A model's parameters by name, live. */
NamedTensors named_parameters(const torch::nn::Module& module);

}  // namespace mactok
