#pragma once

#include "runtime/torch.h"

#include <string>
#include <utility>
#include <vector>

namespace mactok {

/**
 * LeCAM (Tseng et al. 2021): regularises the logits of images and reconstructions towards moving
 * averages of each other. The averages stay on the device and start at 0; a step updates them
 * before it computes its term.
 */
class Lecam {
 public:
  Lecam(double decay, at::Device device);

  /** Starts a step, to which micro-batches add. */
  void begin();

  /**
   * Moves the averages towards the mean logits, float32 scalars, of a micro-batch that is `share`
   * of the step's batch.
   */
  void update(const at::Tensor& real, const at::Tensor& fake, double share);

  /**
   * mean relu(real − average of fake)² + mean relu(average of real − fake)², a float32 scalar.
   */
  at::Tensor loss(const at::Tensor& real, const at::Tensor& fake) const;

  /** `real` and `fake`, float32 scalars; the tensors are the live ones. */
  std::vector<std::pair<std::string, at::Tensor>> state() const;

 private:
  double decay_;
  at::Tensor real_, fake_, real_before_, fake_before_;
};

}  // namespace mactok
