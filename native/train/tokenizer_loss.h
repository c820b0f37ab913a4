#pragma once

#include "runtime/torch.h"

#include <memory>
#include <vector>

#include "distributed/process_group.h"
#include "losses/alignment.h"
#include "losses/reconstruction.h"
#include "masking/mask.h"
#include "models/lpips.h"
#include "models/teacher.h"
#include "models/tokenizer.h"
#include "runtime/random.h"
#include "train/discriminator_step.h"
#include "train/meter.h"

namespace mactok {

/** Which latents the teacher's features are compared with. */
enum class AlignedLatents { sample, mean };

struct TokenizerLossOptions {
  MaskOptions masking;
  AlignmentOptions alignment;
  AlignedLatents align_on;
  ReconstructionLoss reconstruction;
  /** The encoder is frozen: no gradients reach it. */
  bool decoder_only;
  /** The ranks that share each micro-batch; null for a process alone. */
  std::shared_ptr<ProcessGroup> group;
};

/** Weights of the terms: numbers on the host, float scalars on the device. */
template <typename Number>
struct LossWeights {
  Number reconstruction, kl, alignment, perceptual, adversarial;
};

/** The networks of a tokenizer's loss; all but the tokenizer are null where no term needs them. */
struct TokenizerNetworks {
  std::shared_ptr<Tokenizer> tokenizer;
  std::shared_ptr<Teacher> teacher;
  std::shared_ptr<AlignmentHeads> heads;
  std::shared_ptr<Lpips> perceptual;
  std::shared_ptr<DiscriminatorStep> discriminator;
};

/** What the loss of a micro-batch draws; what it does not need is undefined. */
struct TokenizerDraws {
  MaskDraws mask;
  /** ε of the posterior, [B, L·Z]. */
  at::Tensor posterior;
  DiscriminatorDraws discriminator;

  std::vector<at::Tensor*> tensors();
};

/** A micro-batch of a tokenizer's training. */
struct TokenizerPart {
  /** uint8 [B, H, W, 3], or float32 [B, 3, H, W] in [-1, 1]. */
  at::Tensor images;
  /** The teacher's, [B, 1 + N, D] with `cls` first; undefined where the teacher computes them. */
  at::Tensor features;
  TokenizerDraws draws;

  int64_t size() const { return images.size(0); }
  std::vector<at::Tensor*> tensors();
};

/** A tokenizer's objective (method.md §5): masks, a posterior sample, and the five terms. */
class TokenizerLoss {
 public:
  TokenizerLoss(TokenizerNetworks networks, TokenizerLossOptions options);

  struct Result {
    /** Scalar with gradient. */
    at::Tensor total;
    /** Detached, float32 [B, 3, H, W]. */
    at::Tensor prediction;
  };

  /**
   * What `forward` draws, on the host: streams of the masks, `posterior`, and with `adversarial`
   * those of the discriminator.
   */
  TokenizerDraws draw(const random::Samples& samples, bool adversarial) const;

  /**
   * images: the part's, float32 [B, 3, H, W] in [-1, 1]. A perceptual or adversarial weight that is
   * undefined skips its term. Metrics go to the meter, weighted by `share`, the part's share of the
   * step's batch.
   */
  Result forward(const at::Tensor& images, const TokenizerPart& part,
                 const LossWeights<at::Tensor>& weights, double share, Meter& meter) const;

 private:
  /** Whether masks may follow the teacher's similarity of `cls` and patches. */
  bool has_semantic_masks() const;

  TokenizerNetworks networks_;
  TokenizerLossOptions options_;
};

}  // namespace mactok
