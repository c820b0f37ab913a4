#pragma once

#include <vector>

#include "flow/sampler.h"

namespace mactok {

/**
 * Dormand and Prince's method of order 5(4) with torchdiffeq's step-size control.
 *
 * With one step size per batch, the root mean square of the error over all samples controls it, and
 * (for a predicted velocity) the last step passes the end and is interpolated there, so that the
 * end point and the number of evaluations agree with torchdiffeq. With one per sample, each sample
 * is controlled independently and lands on the end; finished samples are no longer evaluated.
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
    /** The velocities of the seven stages. */
    std::vector<at::Tensor> slopes;
  };

  /** Evaluates the velocity at the start and chooses the first step sizes. */
  void choose_first_step_sizes();
  Trial attempt(const at::Tensor& x, const at::Tensor& slope, const std::vector<double>& times,
                const std::vector<double>& sizes, const std::vector<int64_t>& rows);
  /** The root mean square of value/scale, of the whole batch or of each row. */
  std::vector<double> norms(const at::Tensor& value, const at::Tensor& scale) const;
  at::Tensor tolerance(const at::Tensor& magnitude) const { return atol_ + rtol_ * magnitude; }
  /** The rows that have not reached the end; empty where the batch shares a step size. */
  std::vector<int64_t> active_rows() const;

  double rtol_, atol_;
  bool per_sample_;
  /** Whether the last step ends at `end_` instead of being interpolated there. */
  bool lands_;
  double end_;
  /** One value for the batch, or one per sample. */
  std::vector<double> times_, sizes_;
  /** The velocity at the state. */
  at::Tensor slope_;
};

}  // namespace mactok
