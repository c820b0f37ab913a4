#pragma once

#include "runtime/torch.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "losses/adversarial.h"
#include "losses/lecam.h"
#include "models/discriminator.h"
#include "train/diff_augment.h"
#include "train/meter.h"
#include "train/optimizer.h"
#include "train/position.h"

namespace mactok {

struct DiscriminatorStepOptions {
  uint64_t seed;
  AdversarialLoss loss;
  bool adaptive;  // VQGAN's adaptive weight on the generator's term
  DiffAugmentOptions augment,
      strong;                 // of what is judged, and of the view that consistency asks about
  double consistency_weight;  // 0: no strong view is made
  double lecam_weight, lecam_decay;
  OptimizerOptions optimizer;
};

/**
 * Trains a discriminator beside its generator (method.md §5). A step is `begin`, then `judge` for each micro-batch of the generator,
 * then `backward` for each, `update`, and `finish`.
 *
 * Gradients never cross: `judge` sees heads without gradients, `backward` takes reconstructions that are detached.
 */
class DiscriminatorStep {
 public:
  DiscriminatorStep(std::shared_ptr<Discriminator> discriminator, DiscriminatorStepOptions options);

  const DiscriminatorStepOptions& options() const { return options_; }

  void begin();

  /** The generator's loss of reconstructions [B, 3, H, W], a scalar. */
  at::Tensor judge(const at::Tensor& reconstructions, const Position& at);

  /** Adds the gradients of the discriminator's loss × share; `weight` (the adversarial one) multiplies all but consistency. */
  void backward(const at::Tensor& images, const at::Tensor& reconstructions, double weight,
                const Position& at, double share, Meter& meter);

  /** One optimiser step. Returns `skipped`, a float scalar, as AdamW does. */
  at::Tensor update(double lr, Meter& meter);

  /** Where `skipped` is 1, batch statistics and power iterations since `begin` are undone. */
  void finish(const at::Tensor& skipped);

  /** Drops gradients and undoes everything since `begin`. */
  void abandon();

  int64_t calls() const { return discriminator_->calls(); }

  /** Groups of a checkpoint: `discriminator` (heads, their buffers, LeCAM's averages) and `discriminator_optimizer`. Live. */
  std::map<std::string, NamedTensors> state() const;

 private:
  at::Tensor prepare(const at::Tensor& images, const DiffAugmentOptions& augment,
                     const std::string& stream, const Position& at) const;

  DiscriminatorStepOptions options_;
  std::shared_ptr<Discriminator> discriminator_;
  NamedTensors parameters_, buffers_;  // of the heads
  AdamW optimizer_;
  Lecam lecam_;
  std::vector<at::Tensor> buffers_before_;
  at::Tensor broken_;  // float scalar: whether a loss of this step was not finite
};

}  // namespace mactok
