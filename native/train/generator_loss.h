#pragma once

#include "runtime/torch.h"

#include <memory>
#include <string>

#include "losses/alignment.h"
#include "masking/mask.h"
#include "models/lpips.h"
#include "models/teacher.h"
#include "models/tokenizer.h"
#include "runtime/random.h"
#include "train/discriminator_step.h"
#include "train/meter.h"

namespace mactok {

struct GeneratorLossOptions {
  uint64_t seed;
  MaskOptions masking;
  AlignmentOptions alignment;
  bool align_on_mean;          // else on the sampled latents
  std::string reconstruction;  // "mse" | "l1"
  bool decoder_only;           // the encoder is frozen: no gradients reach it
};

/** Weights of the terms, float scalars; a term that costs a network has none where it is not computed. */
struct LossWeights {
  at::Tensor reconstruction, kl, alignment, perceptual, adversarial;
};

/** The networks that a tokenizer's loss needs; all but the tokenizer may be null where no term asks for them. */
struct GeneratorNetworks {
  std::shared_ptr<Tokenizer> tokenizer;
  std::shared_ptr<Teacher> teacher;
  std::shared_ptr<AlignmentHeads> heads;
  std::shared_ptr<Lpips> perceptual;
  std::shared_ptr<DiscriminatorStep> discriminator;
};

/** A tokenizer's objective (method.md §5): masks, posterior sample, and the five terms. */
class GeneratorLoss {
 public:
  GeneratorLoss(GeneratorNetworks networks, GeneratorLossOptions options);

  struct Result {
    at::Tensor total;       // scalar with gradient
    at::Tensor prediction;  // float32 [B, 3, H, W]
  };

  /** What `forward` draws, on the host: of masks, of the posterior (stream `posterior`), and of the discriminator where it is `judged`. */
  Draws draw(const random::Samples& samples, bool judged) const;

  /**
   * images: float32 [B, 3, H, W] in [−1, 1], `share` of the step's batch. `known`: the teacher's features [B, 1 + N, D] with cls
   * first, or undefined where the teacher is to be asked. Metrics go to the meter.
   */
  Result forward(const at::Tensor& images, const at::Tensor& known, const LossWeights& weights,
                 const Draws& draws, double share, Meter& meter) const;

 private:
  /** Whether masks follow the teacher. */
  bool semantic() const;

  GeneratorNetworks networks_;
  GeneratorLossOptions options_;
};

}  // namespace mactok
