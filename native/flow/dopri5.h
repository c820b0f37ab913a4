#pragma once

#include <vector>

#include "flow/sampler.h"

namespace mactok {

/**
 * Dormand and Prince's method of order 5(4) with torchdiffeq's step-size control.
 *
 * One step size for the batch: the root mean square of the error over all samples decides, and (for a predicted velocity) the last
 * step passes the end and is interpolated there, so that end point and number of evaluations are torchdiffeq's. One a sample: each is
 * controlled alone and lands on the end; those that have arrived are no longer computed.
 */
class Dopri5 : public Sampler {
 public:
  Dopri5(const SamplerOptions& options, Field field, at::Tensor start);

  bool done() const override;
  double time() const override;
  void step() override;

 private:
  struct Trial {
    at::Tensor x, error;
    std::vector<at::Tensor> slopes;  // seven
  };

  void first_step_size();
  Trial attempt(const at::Tensor& x, const at::Tensor& slope, const std::vector<double>& times,
                const std::vector<double>& sizes, const std::vector<int64_t>& rows);
  /** The root mean square of value/scale: of the whole batch, or of each row. */
  std::vector<double> norms(const at::Tensor& value, const at::Tensor& scale) const;
  at::Tensor tolerance(const at::Tensor& magnitude) const { return atol_ + rtol_ * magnitude; }
  std::vector<int64_t> active() const;

  double rtol_, atol_;
  bool per_sample_, lands_;
  double end_;
  std::vector<double> times_, sizes_;  // one, or one a sample
  at::Tensor slope_;                   // the velocity at the state
};

}  // namespace mactok
