#include "testing/perceptual.h"

#include "bindings/perceptual.h"
#include "bindings/tensor.h"
#include "nn/network_images.h"
#include "testing/method.h"

namespace mactok {
namespace {

Napi::Value gradient(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto lpips = PerceptualHandle::unwrap(info.This(), "this");
    const auto device = module_device(*lpips);
    const auto images = TensorHandle::unwrap(info[0], "images");
    const auto targets = TensorHandle::unwrap(info[1], "targets");
    return run(
        info.Env(), device,
        [=] {
          const at::AutoGradMode with_gradients(true);
          const auto x = to_network_images(images, device).detach().requires_grad_(true);
          const auto loss = lpips->forward(x, to_network_images(targets, device)).mean();
          return torch::autograd::grad({loss}, {x})[0];
        },
        [](Napi::Env env, const at::Tensor& gradient) {
          return TensorHandle::wrap(env, gradient);
        });
  });
}

}  // namespace

void define_perceptual_methods(Napi::Env env) {
  add_method(env, PerceptualHandle::kClass, "gradient", gradient);
}

}  // namespace mactok
