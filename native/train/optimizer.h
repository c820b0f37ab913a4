#pragma once

#include "runtime/torch.h"

#include <string>
#include <utility>
#include <vector>

namespace mactok {

using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

struct OptimizerOptions {
  double beta1, beta2, eps;
  double weight_decay;  // on matrices (linear and convolution weights) only
  double clip_norm;     // global gradient norm; 0 leaves gradients alone
};

/**
 * AdamW with decoupled weight decay by LibTorch's fused kernel, and clipping at a global norm.
 *
 * A step with a non-finite gradient norm changes nothing; that is decided on the device, so that the host never waits.
 */
class AdamW {
 public:
  AdamW(OptimizerOptions options, NamedTensors parameters);

  struct Outcome {
    at::Tensor norm;  // global gradient norm before clipping, float scalar
    at::Tensor
        skipped;  // float scalar: 1 when the norm was not finite or the step was `broken`, else 0
  };

  /**
   * Uses and keeps the parameters' `.grad`; parameters without one count as zero gradient. lr: float64 scalar on their device.
   * broken: float scalar, 1 to skip this step in any case (its loss was not finite); undefined: no.
   */
  Outcome step(const at::Tensor& lr, const at::Tensor& broken = {});
  void zero_grad();

  /** exp_avg.NAME, exp_avg_sq.NAME and step: the state of a checkpoint, live. */
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
