#pragma once

#include "runtime/torch.h"

#include <array>
#include <vector>

#include "distributed/shards.h"
#include "nn/named_tensors.h"

namespace mactok {

struct OptimizerOptions {
  double beta1, beta2, eps;
  /** Applies to matrices (linear and convolution weights) only. */
  double weight_decay;
  /** The global gradient norm to clip at; 0: none. */
  double clip_norm;
};

/** Whether a scalar is not finite, a float scalar: what `skipped` of AdamW::step is made of. */
at::Tensor is_not_finite(const at::Tensor& scalar);

/**
 * AdamW with decoupled weight decay by LibTorch's fused kernel, and clipping at a global gradient
 * norm.
 *
 * The caller decides between `gradient_norm` and `step` whether to skip a step, on the device, so
 * that the host never waits, and for all networks of a step alike.
 */
class AdamW {
 public:
  /** With shards it updates this rank's parameters. */
  AdamW(OptimizerOptions options, NamedTensors parameters, const Shards* shards = nullptr);

  /**
   * The global norm of the parameters' gradients, a float scalar. A missing `.grad` becomes zero.
   */
  at::Tensor gradient_norm();

  /**
   * Reads the parameters' `.grad` and keeps it. lr: float64 scalar on their device. norm: from
   * `gradient_norm`. skipped: float scalar, 1 if the step changes nothing, else 0.
   */
  void step(const at::Tensor& lr, const at::Tensor& norm, const at::Tensor& skipped);
  void zero_grad();

  /**
   * exp_avg.NAME, exp_avg_sq.NAME and step for a checkpoint; the tensors are the live ones, not
   * copies.
   */
  NamedTensors state() const;

  /** exp_avg and exp_avg_sq of each parameter. */
  std::array<std::vector<at::Tensor>, 2> moments() const;

 private:
  struct Group {
    double weight_decay;
    std::vector<at::Tensor> parameters, exp_avg, exp_avg_sq, steps;
  };

  bool is_mine(size_t parameter) const { return !shards_ || shards_->is_mine(parameter); }

  OptimizerOptions options_;
  NamedTensors parameters_;
  /** Null: all parameters are updated. */
  const Shards* shards_;
  std::vector<Group> groups_;
  NamedTensors state_;
  at::Tensor step_;
};

}  // namespace mactok
