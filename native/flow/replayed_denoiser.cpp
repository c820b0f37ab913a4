#include "flow/replayed_denoiser.h"

namespace mactok {

ReplayedDenoiser::ReplayedDenoiser(std::shared_ptr<const Denoiser> model, at::Device device)
    : model_(std::move(model)),
      evaluate_(device, /*record=*/true, /*written=*/{}, [denoiser = model_](const Arguments& x) {
        return Outputs{{"output", denoiser->forward(x.latents, x.times, x.labels)}};
      }) {}

at::Tensor ReplayedDenoiser::forward(const at::Tensor& latents, const at::Tensor& times,
                                     const at::Tensor& labels) const {
  return evaluate_({.latents = latents, .times = times, .labels = labels}).at("output");
}

}  // namespace mactok
