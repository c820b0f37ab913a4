#include "flow/replayed_denoiser.h"

namespace mactok {

ReplayedDenoiser::ReplayedDenoiser(std::shared_ptr<const Denoiser> model, at::Device device)
    : model_(std::move(model)),
      evaluate_(device, /*record=*/true, /*written=*/{}, [denoiser = model_](const Inputs& inputs) {
        const auto& x = inputs[0];
        return Outputs{
            {"output", denoiser->forward(x.at("latents"), x.at("times"), x.at("labels"))}};
      }) {}

at::Tensor ReplayedDenoiser::forward(const at::Tensor& latents, const at::Tensor& times,
                                     const at::Tensor& labels) const {
  return evaluate_({{{"latents", latents}, {"times", times}, {"labels", labels}}}).at("output");
}

}  // namespace mactok
