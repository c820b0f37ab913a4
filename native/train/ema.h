#pragma once

#include "runtime/torch.h"

#include <vector>

namespace mactok {

struct EmaOptions {
  double decay;
  /** Decay min(decay, (1 + n) / (10 + n)) with n updates before this one. */
  bool warmup;
};

/** Exponential moving average of parameters, updated without waiting for the device. */
class Ema {
 public:
  /** device: where the parameters are, of which a rank may have none. */
  Ema(EmaOptions options, std::vector<at::Tensor> parameters, std::vector<at::Tensor> averages,
      at::Device device);

  /**
   * averages += (1 − decay)·(parameters − averages), unless `skipped` (float scalar, 0 or 1) is 1.
   */
  void update(const at::Tensor& skipped);

  /** The number of updates so far, a scalar tensor of `widest_float`, which checkpoints contain. */
  const at::Tensor& updates() const { return updates_; }

 private:
  EmaOptions options_;
  std::vector<at::Tensor> parameters_;
  std::vector<at::Tensor> averages_;
  at::Tensor updates_;
};

}  // namespace mactok
