#pragma once

#include "runtime/torch.h"

#include <vector>

namespace mactok {

struct EmaOptions {
  double decay;
  bool warmup;  // decay min(decay, (1 + n) / (10 + n)), n = updates before this one
};

/** Exponential moving average of parameters, counted and masked on the device. */
class Ema {
 public:
  Ema(EmaOptions options, std::vector<at::Tensor> parameters, std::vector<at::Tensor> averages);

  /** averages += (1 − decay)·(parameters − averages), unless `skipped` (float scalar, 0 or 1) is 1. */
  void update(const at::Tensor& skipped);

  /** n, the number of updates so far: a float64 scalar tensor, part of the checkpoint. */
  const at::Tensor& updates() const { return updates_; }

 private:
  EmaOptions options_;
  std::vector<at::Tensor> parameters_;
  std::vector<at::Tensor> averages_;
  at::Tensor updates_;
};

}  // namespace mactok
