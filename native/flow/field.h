#pragma once

#include "runtime/torch.h"

#include <cstdint>
#include <memory>
#include <vector>

#include "flow/prediction.h"

namespace mactok {

/** Guidance away from a worse prediction: worse + scale·(good − worse). */
struct Guidance {
  double scale;  ///< 1: none
  double low,
      high;  ///< at times in [low, high] only, in our direction; elsewhere nothing worse is computed
  int64_t
      channels;  ///< only the first of them are guided (published scales of SiT and LightningDiT: 3); 0: all
  std::shared_ptr<const Denoiser>
      weak;  ///< what is worse: this model (autoguidance); null: the same one without its class
};

/** How often networks were asked. */
struct Evaluations {
  int64_t field = 0;    ///< calls of the field: what solvers call function evaluations
  int64_t samples = 0;  ///< rows of these calls
  int64_t guiding = 0;  ///< rows that were computed for guidance besides
};

/** The guided flow of a network for given classes, as solvers see it. */
class Field {
 public:
  /** labels: int64 [B]. */
  Field(std::shared_ptr<const Denoiser> model, FlowOptions flow, at::Tensor labels,
        Guidance guidance);

  /**
   * At x [n, …], rows `rows` of the batch (empty: all), and one time for all or one a row. Networks compute in float32; the result has
   * x's dtype.
   */
  Estimate operator()(const at::Tensor& x, const std::vector<double>& times,
                      const std::vector<int64_t>& rows = {});

  const FlowOptions& flow() const { return flow_; }
  const Evaluations& evaluations() const { return evaluations_; }

 private:
  at::Tensor output(const at::Tensor& x, const at::Tensor& times, const at::Tensor& labels,
                    const std::vector<int64_t>& guided);
  at::Tensor guide(const at::Tensor& good, const at::Tensor& worse) const;

  std::shared_ptr<const Denoiser> model_;
  FlowOptions flow_;
  at::Tensor labels_;
  Guidance guidance_;
  Evaluations evaluations_;
};

/** Host numbers as a double vector on x's device. */
at::Tensor vector_like(const std::vector<double>& values, const at::Tensor& x);
at::Tensor index_like(const std::vector<int64_t>& values, const at::Tensor& x);

}  // namespace mactok
