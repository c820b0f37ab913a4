#pragma once

#include "runtime/torch.h"

#include <memory>
#include <vector>

#include "models/denoiser.h"
#include "runtime/replay.h"

namespace mactok {

/** A denoiser whose evaluations are recorded once per shape and replayed, without gradients. */
class ReplayedDenoiser final : public Denoiser {
 public:
  ReplayedDenoiser(std::shared_ptr<const Denoiser> model, at::Device device);

  at::Tensor forward(const at::Tensor& latents, const at::Tensor& times,
                     const at::Tensor& labels) const override;
  const std::vector<int64_t>& latent_shape() const override { return model_->latent_shape(); }
  int64_t classes() const override { return model_->classes(); }
  void set_checkpointing(bool) override {}

 private:
  struct Arguments {
    at::Tensor latents, times, labels;

    std::vector<at::Tensor*> tensors() { return {&latents, &times, &labels}; }
  };

  std::shared_ptr<const Denoiser> model_;
  mutable Replay<Arguments> evaluate_;
};

}  // namespace mactok
