#include "bindings/perceptual.h"

#include "bindings/choice.h"
#include "bindings/tensor.h"
#include "nn/network_images.h"
#include "runtime/device.h"

namespace mactok {
namespace {

Napi::Value create(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto network = choice<LpipsNetwork>(
        info[0], "network", {{"vgg", LpipsNetwork::vgg}, {"alex", LpipsNetwork::alex}});
    const auto device = parse_device(convert::string(info[1], "device"));
    return run(
        info.Env(), device,
        [=] {
          auto lpips = std::make_shared<Lpips>(network);
          lpips->to(device);
          return lpips;
        },
        [](Napi::Env env, const std::shared_ptr<Lpips>& lpips) {
          return PerceptualHandle::wrap(env, lpips);
        });
  });
}

}  // namespace

void PerceptualHandle::define(Napi::Env env, Napi::Object exports) {
  define_class(env, {InstanceMethod<&PerceptualHandle::distance>("distance")});
  exports.Set("createPerceptual", Napi::Function::New(env, create, "createPerceptual"));
}

Napi::Value PerceptualHandle::distance(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto lpips = alive(info.Env());
    const auto device = module_device(*lpips);
    const auto images = TensorHandle::unwrap(info[0], "images");
    const auto targets = TensorHandle::unwrap(info[1], "targets");
    const auto precision = convert::precision(info[2], "precision");
    return run(
        info.Env(), device,
        [=] {
          const Autocast autocast(device.type(), precision);
          return lpips->forward(to_network_images(images, device),
                                to_network_images(targets, device));
        },
        [](Napi::Env env, const at::Tensor& distance) {
          return TensorHandle::wrap(env, distance);
        });
  });
}

}  // namespace mactok
