#pragma once

#include "runtime/torch.h"

#include <memory>
#include <vector>

#include "nn/linear.h"

namespace mactok {

/** Which vectors adaLN computes for each of a block's branches; a scale always. */
struct ModulationOptions {
  int64_t branches;
  bool shift, gate;
};

/** What modulates one branch, [B, 1, D] each; a vector that was not requested is undefined. */
struct BranchModulation {
  at::Tensor shift, scale, gate;
};

/**
 * adaLN's network: SiLU, then a linear layer from the condition to the vectors of each branch in
 * turn (shift, scale, gate). Its one child is `1`, as in DiT's Sequential.
 */
class Modulation : public torch::nn::Module {
 public:
  Modulation(int64_t width, const ModulationOptions& options);

  /** condition: [B, width] -> one modulation per branch. */
  std::vector<BranchModulation> forward(const at::Tensor& condition) const;

 private:
  ModulationOptions options_;
  int64_t vectors_;
  std::shared_ptr<Linear> linear_;
};

/** x + gate ⊙ branch, float32. x, branch: [B, T, D]; gate: [B, 1, D]. */
at::Tensor gated(const at::Tensor& x, const at::Tensor& gate, const at::Tensor& branch);

/**
 * Layer norm of x without weights, in float32, then `modulate`. The result has the dtype of the
 * next matrix product where our kernels compute it.
 */
at::Tensor modulated_norm(const at::Tensor& x, const BranchModulation& by);

/** x·(1 + scale) + shift; an undefined shift counts as 0. x: [B, T, D]. */
at::Tensor modulate(const at::Tensor& x, const BranchModulation& by);

}  // namespace mactok
