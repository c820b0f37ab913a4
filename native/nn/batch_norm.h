#pragma once

#include "nn/group.h"
#include "runtime/torch.h"

namespace mactok {

/**
 * Batch norm over batch and length, always in float32: `weight`, `bias`, buffers `running_mean`,
 * `running_var` (momentum .1).
 */
class BatchNorm : public torch::nn::Module {
 public:
  BatchNorm(int64_t channels, double eps);

  /**
   * [..., G·C] -> float32 [..., G·C], by the batch's statistics in training mode, else by the
   * running ones.
   */
  static at::Tensor forward(const Group<BatchNorm>& norms, const at::Tensor& x);

  /** Moves the running statistics towards a batch's, float32 [C]; its variance is unbiased. */
  void update_running(const at::Tensor& mean, const at::Tensor& variance);

  double eps() const { return eps_; }

  at::Tensor weight, bias, running_mean, running_var;

 private:
  double eps_;
};

}  // namespace mactok
