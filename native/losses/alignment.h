#pragma once

#include "runtime/torch.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "nn/linear.h"

namespace mactok {

struct AlignmentOptions {
  bool local, global;
  bool shared;  ///< one head for both
  int64_t hidden, channels, teacher_width;
};

/** Linear, SiLU, Linear, SiLU, Linear from latent channels to the teacher's width; parameters `0.*`, `2.*`, `4.*`. */
class AlignmentHead : public torch::nn::Module {
 public:
  explicit AlignmentHead(const AlignmentOptions& options);

  /** [..., Z] -> [..., teacher_width]. */
  at::Tensor forward(const at::Tensor& latents) const;

 private:
  std::vector<std::shared_ptr<Linear>> layers_;
};

/** Pulls latents towards a frozen teacher's features. Parameters `local.*` and `global.*`, or `shared.*`. */
class AlignmentHeads : public torch::nn::Module {
 public:
  explicit AlignmentHeads(const AlignmentOptions& options);

  /**
   * Mean cosine, a float32 scalar, of each patch [B, N, D] with the head's result for its latent, of [B, L, Z]: latent i is held
   * against patches [i·N/L, (i + 1)·N/L). Where L does not divide N the results are interpolated linearly along the tokens.
   */
  at::Tensor local_cosine(const at::Tensor& latents, const at::Tensor& patches) const;

  /** Mean cosine, a float32 scalar, of the teacher's cls [B, D] with the head's result for the mean latent. */
  at::Tensor global_cosine(const at::Tensor& latents, const at::Tensor& cls) const;

 private:
  std::shared_ptr<AlignmentHead> local_, global_;
};

/** Weights and biases U(±1/√inputs), as the reference's nn.Linear; named `alignment.` + the parameter's name. */
void initialize(AlignmentHeads& heads, uint64_t seed);

}  // namespace mactok
