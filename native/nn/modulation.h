#pragma once

#include "runtime/torch.h"

#include <memory>
#include <vector>

#include "nn/linear.h"

namespace mactok {

/** adaLN's network: SiLU, then a linear layer from the condition to `parts` vectors; its one child is `1`, as in DiT's Sequential. */
class Modulation : public torch::nn::Module {
 public:
  Modulation(int64_t width, int64_t parts);

  /** condition: [B, width] -> `parts` tensors [B, 1, width], ready to broadcast over tokens. */
  std::vector<at::Tensor> forward(const at::Tensor& condition) const;

 private:
  int64_t parts_;
  std::shared_ptr<Linear> linear_;
};

/** x + gate ⊙ branch, float32. x, branch: [B, T, D]; gate: [B, 1, D]. */
at::Tensor gated(const at::Tensor& x, const at::Tensor& gate, const at::Tensor& branch);

/** Layer norm of x without weights, in float32, then modulated; in bfloat16 where a product of that follows. */
at::Tensor modulated_norm(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale);

/** x·(1 + scale) + shift; an undefined shift counts as 0. x: [B, T, D]; shift, scale: [B, 1, D]. */
at::Tensor modulate(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale);

}  // namespace mactok
