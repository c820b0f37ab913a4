#pragma once

#include "runtime/torch.h"

#include <vector>

#include "nn/named_tensors.h"

namespace mactok {

struct OptimizerOptions {
  double beta1, beta2, eps;
  /** Applies to matrices (linear and convolution weights) only. */
  double weight_decay;
  /** The global gradient norm to clip at; 0: none. */
  double clip_norm;
};

/**
 * AdamW with decoupled weight decay by LibTorch's fused kernel, and clipping at a global gradient
 * norm.
 *
 * A step with a non-finite gradient norm changes nothing. The device decides that, so that the host
 * never waits.
 */
class AdamW {
 public:
  AdamW(OptimizerOptions options, NamedTensors parameters);

  struct Outcome {
    /** Global gradient norm before clipping, float scalar. */
    at::Tensor norm;
    /** Float scalar: 1 if the norm was not finite or the step was `broken`, else 0. */
    at::Tensor skipped;
  };

  /**
   * Reads the parameters' `.grad`, where a missing one counts as zero, and keeps it. lr: float64
   * scalar on their device. broken: float scalar, 1 if a loss was not finite, which skips the step;
   * undefined counts as 0.
   */
  Outcome step(const at::Tensor& lr, const at::Tensor& broken = {});
  void zero_grad();

  /**
   * exp_avg.NAME, exp_avg_sq.NAME and step for a checkpoint; the tensors are the live ones, not
   * copies.
   */
  NamedTensors state() const;

 private:
  struct Group {
    double weight_decay;
    std::vector<at::Tensor> parameters, exp_avg, exp_avg_sq, steps;
  };

  OptimizerOptions options_;
  NamedTensors parameters_;
  std::vector<Group> groups_;
  NamedTensors state_;
  at::Tensor step_;
};

}  // namespace mactok
