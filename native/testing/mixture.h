#pragma once

#include "runtime/torch.h"

#include <cstdint>
#include <vector>

#include "flow/path.h"
#include "models/denoiser.h"

namespace mactok {

struct MixtureOptions {
  std::vector<int64_t> latent_shape;
  int64_t classes, components;
  PathKind path;
};

/**
 * The exact velocity for a mixture of Gaussians, which a perfectly trained network would predict;
 * samplers are tested on it. Parameters: `means` [K, D], `deviations` [K], and `weights`
 * [classes + 1, K], one row per label.
 */
class Mixture : public Denoiser {
 public:
  explicit Mixture(const MixtureOptions& options);

  at::Tensor forward(const at::Tensor& latents, const at::Tensor& times,
                     const at::Tensor& labels) const override;
  const std::vector<int64_t>& latent_shape() const override { return options_.latent_shape; }
  int64_t classes() const override { return options_.classes; }
  void set_checkpointing(bool) override {}

 private:
  MixtureOptions options_;
  at::Tensor means_, deviations_, weights_;
};

}  // namespace mactok
