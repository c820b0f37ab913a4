#pragma once

#include "runtime/torch.h"

#include <cstdint>

namespace mactok {

/** Training or validation data: features float [n, D], labels int64 [n] below `classes`. */
struct ProbeData {
  at::Tensor features, labels;
};

struct ProbeOptions {
  int64_t classes;
  /** Weight of ½‖W‖² relative to the mean cross-entropy; biases are not penalised. */
  double l2;
  /** Most iterations of L-BFGS. */
  int64_t iterations;
};

struct Probe {
  /** float64 [classes, D] and [classes], of standardised features. */
  at::Tensor weight, bias;
  /** float64 [D], of the training features; the deviation of a constant feature is 1. */
  at::Tensor mean, deviation;
  /** The final value of the objective, including the penalty. */
  double loss;
  double train_accuracy, validation_accuracy;
};

/**
 * Multinomial logistic regression on standardised features, in float64 and from zero weights, by
 * L-BFGS with a strong Wolfe line search. The objective is strictly convex in W, so the result does
 * not depend on the optimiser.
 */
Probe fit_probe(const ProbeData& train, const ProbeData& validation, const ProbeOptions& options);

}  // namespace mactok
