#pragma once

#include "runtime/torch.h"

#include <cstdint>
#include <memory>
#include <vector>

#include "flow/prediction.h"

namespace mactok {

/** Guidance away from a weaker prediction: weak + scale·(good − weak). */
struct Guidance {
  /** 1: none. */
  double scale;
  /** Guidance applies at times in [low, high], in our direction. */
  double low, high;
  /** How many of the first channels are guided (published SiT and LightningDiT: 3); 0: all. */
  int64_t channels;
  /** The weaker model (autoguidance); null: the same model without its class. */
  std::shared_ptr<const Denoiser> weak;
};

/** How many evaluations a solver has made. */
struct Evaluations {
  /** Calls of the field, which solvers call function evaluations. */
  int64_t field = 0;
  /** Rows of these calls. */
  int64_t samples = 0;
  /** Additional rows that guidance computed. */
  int64_t guiding = 0;
};

/** The guided velocity field of a network for given classes, which solvers integrate. */
class Field {
 public:
  /** labels: int64 [B]. */
  Field(std::shared_ptr<const Denoiser> model, FlowOptions flow, at::Tensor labels,
        Guidance guidance);

  /**
   * The field at x [n, …], which are rows `rows` of the batch (empty: all), and at one time for all
   * or one per row. Networks compute in float32; the result has x's dtype.
   */
  Estimate operator()(const at::Tensor& x, const std::vector<double>& times,
                      const std::vector<int64_t>& rows = {});

  const FlowOptions& flow() const { return flow_; }
  const Evaluations& evaluations() const { return evaluations_; }

 private:
  at::Tensor output(const at::Tensor& x, const at::Tensor& times, const at::Tensor& labels,
                    const std::vector<int64_t>& guided);
  at::Tensor guide(const at::Tensor& good, const at::Tensor& weak) const;

  std::shared_ptr<const Denoiser> model_;
  FlowOptions flow_;
  at::Tensor labels_;
  Guidance guidance_;
  Evaluations evaluations_;
};

/** Numbers of the host as a float64 vector on x's device. */
at::Tensor vector_like(const std::vector<double>& values, const at::Tensor& x);

/** The same as an int64 vector. */
at::Tensor index_like(const std::vector<int64_t>& values, const at::Tensor& x);

}  // namespace mactok
