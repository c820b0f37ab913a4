#pragma once

#include "runtime/torch.h"

#include <cstdint>
#include <memory>
#include <vector>

#include "nn/linear.h"

namespace mactok {

struct AlignmentOptions {
  bool local, global;
  /** Whether local and global alignment use the same head. */
  bool shared;
  int64_t hidden, channels, teacher_width;
};

/**
 * Linear, SiLU, Linear, SiLU, Linear from latent channels to the teacher's width; parameters `0.*`,
 * `2.*`, `4.*`.
 */
class AlignmentHead : public torch::nn::Module {
 public:
  explicit AlignmentHead(const AlignmentOptions& options);

  /** [..., Z] -> [..., teacher_width]. */
  at::Tensor forward(const at::Tensor& latents) const;

 private:
  std::vector<std::shared_ptr<Linear>> layers_;
};

/**
 * Aligns latents with a frozen teacher's features. Parameters `local.*` and `global.*`, or
 * `shared.*`.
 */
class AlignmentHeads : public torch::nn::Module {
 public:
  explicit AlignmentHeads(const AlignmentOptions& options);

  /**
   * Mean cosine similarity, a float32 scalar, of each patch [B, N, D] and the head's output for its
   * latent, of [B, L, Z]: latent i is compared with patches [i·N/L, (i + 1)·N/L). Where L does not
   * divide N, the outputs are interpolated linearly along the tokens.
   */
  at::Tensor local_cosine(const at::Tensor& latents, const at::Tensor& patches) const;

  /**
   * Mean cosine similarity, a float32 scalar, of the teacher's cls [B, D] and the head's output for
   * the mean latent.
   */
  at::Tensor global_cosine(const at::Tensor& latents, const at::Tensor& cls) const;

 private:
  std::shared_ptr<AlignmentHead> local_, global_;
};

/** Weights and biases U(±1/√inputs), as torch's nn.Linear; streams `init/alignment.NAME`. */
void initialize(AlignmentHeads& heads, uint64_t seed);

/** Initialised heads on `device`; null where neither local nor global alignment is on. */
std::shared_ptr<AlignmentHeads> make_alignment_heads(const AlignmentOptions& options, uint64_t seed,
                                                     at::Device device);

}  // namespace mactok
