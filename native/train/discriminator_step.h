#pragma once

#include "runtime/torch.h"

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "distributed/gradient_buckets.h"
#include "losses/adversarial.h"
#include "losses/lecam.h"
#include "models/discriminator.h"
#include "nn/named_tensors.h"
#include "runtime/random.h"
#include "train/diff_augment.h"
#include "train/meter.h"
#include "train/optimizer.h"
#include "train/snapshot.h"

namespace mactok {

struct DiscriminatorStepOptions {
  AdversarialLoss loss;
  /** Whether VQGAN's adaptive weight scales the generator's term. */
  bool adaptive;
  /** Augmentation of what the discriminator sees. */
  DiffAugmentOptions augment;
  /** Augmentation of the view whose logits consistency compares. */
  DiffAugmentOptions strong;
  /** 0: the strong view is not computed. */
  double consistency_weight;
  double lecam_weight, lecam_decay;
  OptimizerOptions optimizer;
  /** The ranks that share each micro-batch; null for a process alone. */
  std::shared_ptr<ProcessGroup> group;
};

/** What one view of a micro-batch draws: an augmentation, and a crop to the backbone's size. */
struct ViewDraws {
  DiffAugmentDraws augment;
  /** [1, 3], see Discriminator::prepare. */
  at::Tensor crop;
};

/** The views of a micro-batch; the strong ones are undefined without a consistency weight. */
struct DiscriminatorDraws {
  ViewDraws generator, real, fake, strong_real, strong_fake;

  std::vector<at::Tensor*> tensors();
};

/**
 * Trains a discriminator beside its generator (method.md §5). A step is `begin`, then
 * `generator_loss` for each of the generator's micro-batches, then `backward` for each, `measure`
 * and `update`.
 *
 * Gradients never cross: `generator_loss` sees heads without gradients, and `backward` takes
 * detached reconstructions.
 */
class DiscriminatorStep {
 public:
  DiscriminatorStep(std::shared_ptr<Discriminator> discriminator, DiscriminatorStepOptions options);

  const DiscriminatorStepOptions& options() const { return options_; }

  void begin();

  /**
   * What `generator_loss` and `backward` draw, on the host: streams `discriminator/<view>/coins`,
   * `…/strengths` and `…/crop`.
   */
  DiscriminatorDraws draw(const random::Samples& samples) const;

  /** The generator's loss, a scalar, for reconstructions [B, 3, H, W]. */
  at::Tensor generator_loss(const at::Tensor& reconstructions, const DiscriminatorDraws& draws);

  /** A micro-batch that the discriminator learns from. */
  struct Part {
    /** float32 [B, 3, H, W]. */
    at::Tensor images, reconstructions;
    DiscriminatorDraws draws;
    /** Its share of the step's batch. */
    double share;
  };

  /**
   * Adds the gradients of the discriminator's losses × shares. `weight` (the adversarial one, a
   * float scalar) multiplies all terms but consistency.
   */
  void backward(const std::vector<Part>& parts, const at::Tensor& weight, Meter& meter);

  /** Whether a loss or a gradient is not finite, a float scalar. */
  at::Tensor measure(Meter& meter);

  /**
   * One optimiser step. Where `skipped` (float scalar, 0 or 1) is 1, changes no weight and undoes
   * batch statistics, power iterations and LeCAM's averages since `begin`.
   */
  void update(const at::Tensor& lr, const at::Tensor& skipped, Meter& meter);

  /** Drops gradients and undoes what changed since `begin`, but for an `update`. */
  void abandon();

  /**
   * Groups of a checkpoint: `discriminator` (heads, their buffers, LeCAM's averages) and
   * `discriminator_optimizer`. The tensors are the live ones, not copies.
   */
  std::map<std::string, NamedTensors> state() const;

 private:
  /** Adds the gradients of one micro-batch. */
  void backward(const Part& part, const at::Tensor& weight, bool is_last, Meter& meter);

  /** The mean over all ranks of two scalars. */
  std::pair<at::Tensor, at::Tensor> means(const at::Tensor& real, const at::Tensor& fake) const;

  /** Augmented images as the backbone takes them. */
  at::Tensor prepare(const at::Tensor& images, const DiffAugmentOptions& augment,
                     const ViewDraws& draws) const;

  DiscriminatorStepOptions options_;
  std::shared_ptr<Discriminator> discriminator_;
  /** Those of the heads; the backbone is frozen. */
  NamedTensors parameters_, buffers_;
  AdamW optimizer_;
  Lecam lecam_;
  /** Null for a process alone. */
  std::unique_ptr<GradientBuckets> buckets_;
  /** Buffers and LeCAM's averages at the beginning of the step. */
  Snapshot before_;
  int64_t calls_before_ = 0;
  /** Whether a loss of this step was not finite, and the norm of its gradients, float scalars. */
  at::Tensor broken_, norm_;
};

}  // namespace mactok
