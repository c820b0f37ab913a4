#pragma once

#include "runtime/torch.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "losses/adversarial.h"
#include "losses/lecam.h"
#include "models/discriminator.h"
#include "runtime/random.h"
#include "train/diff_augment.h"
#include "train/meter.h"
#include "train/optimizer.h"

namespace mactok {

struct DiscriminatorStepOptions {
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

  /** What `judge` and `backward` draw, on the host: streams `discriminator/<call>/coins`, `…/strengths` and `…/crop`. */
  Draws draw(const random::Samples& samples) const;

  /** The generator's loss of reconstructions [B, 3, H, W], a scalar. */
  at::Tensor judge(const at::Tensor& reconstructions, const Draws& draws);

  /**
   * Adds the gradients of the discriminator's loss × share; `weight` (the adversarial one, a float scalar) multiplies all but
   * consistency.
   */
  void backward(const at::Tensor& images, const at::Tensor& reconstructions,
                const at::Tensor& weight, const Draws& draws, double share, Meter& meter);

  /** One optimiser step. Returns `skipped`, a float scalar, as AdamW does. */
  at::Tensor update(const at::Tensor& lr, Meter& meter);

  /** Where `skipped` is 1, batch statistics and power iterations since `begin` are undone. */
  void finish(const at::Tensor& skipped);

  /** Drops gradients and undoes everything since `begin`. */
  void abandon();

  /** Groups of a checkpoint: `discriminator` (heads, their buffers, LeCAM's averages) and `discriminator_optimizer`. Live. */
  std::map<std::string, NamedTensors> state() const;

 private:
  at::Tensor prepare(const at::Tensor& images, const DiffAugmentOptions& augment,
                     const std::string& call, const Draws& draws) const;

  DiscriminatorStepOptions options_;
  std::shared_ptr<Discriminator> discriminator_;
  NamedTensors parameters_, buffers_;  // of the heads
  AdamW optimizer_;
  Lecam lecam_;
  std::vector<at::Tensor> buffers_before_;
  int64_t calls_before_ = 0;
  at::Tensor broken_;  // float scalar: whether a loss of this step was not finite
};

}  // namespace mactok
