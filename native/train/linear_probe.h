#pragma once

#include "runtime/torch.h"

#include <cstdint>

namespace mactok {

/** What a linear probe is fitted on and judged by: features float [n, D], labels int64 [n] below `classes`. */
struct ProbeData {
  at::Tensor features, labels;
};

struct ProbeOptions {
  int64_t classes;
  double l2;           ///< weight of ½‖W‖² beside the mean cross-entropy; the biases are free
  int64_t iterations;  ///< the most that L-BFGS makes
};

struct Probe {
  at::Tensor weight, bias;  // float64 [classes, D] and [classes], of standardised features
  at::Tensor mean,
      deviation;  // float64 [D], of the training features; deviation 1 where a feature is constant
  double loss;    // at the end, penalty included
  double train_accuracy, validation_accuracy;
};

/**
 * Multinomial logistic regression on standardised features, in float64 and from zero weights by L-BFGS with a strong Wolfe line
 * search: the objective is strictly convex in W, so that the result does not depend on the way to it.
 */
Probe fit_probe(const ProbeData& train, const ProbeData& validation, const ProbeOptions& options);

}  // namespace mactok
