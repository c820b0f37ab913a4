#include "testing/adversarial.h"

#include "bindings/adversarial.h"
#include "bindings/convert.h"
#include "bindings/module.h"
#include "bindings/promise.h"
#include "bindings/tensor.h"
#include "losses/lecam.h"

namespace mactok {
namespace {

Napi::Value to_object(Napi::Env env, const NamedTensors& tensors) { return to_state(env, tensors); }

Napi::Value augment(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto images = TensorHandle::unwrap(info[0], "images");
    const auto options = augment_options(info[1], "augmentation");
    const auto strengths = TensorHandle::unwrap(info[2], "strengths");
    const auto upstream = TensorHandle::unwrap_optional(info[3], "upstream");
    const auto coins = at::zeros({1, 3}, strengths.options());  // everything acts
    const DiffAugmentDraws draws{.strengths = strengths, .coins = coins};
    return run(
        info.Env(), images.device(),
        [=]() -> NamedTensors {
          const at::AutoGradMode with_gradients(upstream.defined());
          const auto x = images.detach().requires_grad_(upstream.defined());
          const auto augmented = diff_augment(x, options, draws);
          if (!upstream.defined()) return {{"images", augmented}};
          return {{"images", augmented.detach()},
                  {"gradient", torch::autograd::grad({augmented}, {x}, {upstream})[0]}};
        },
        to_object);
  });
}

Napi::Value losses(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto kind = adversarial_loss(info[0], "kind");
    const auto real = TensorHandle::unwrap(info[1], "real");
    const auto fake = TensorHandle::unwrap(info[2], "fake");
    return run(
        info.Env(), real.device(),
        [=]() -> NamedTensors {
          return {{"discriminator", discriminator_loss(kind, real, fake)},
                  {"generator", generator_loss(kind, fake)}};
        },
        to_object);
  });
}

Napi::Value lecam(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto decay = convert::number(info[0], "decay");
    const auto real = TensorHandle::unwrap(info[1], "real");  // [steps, …]
    const auto fake = TensorHandle::unwrap(info[2], "fake");
    return run(
        info.Env(), real.device(),
        [=]() -> NamedTensors {
          Lecam averages(decay, real.device());
          std::vector<at::Tensor> terms;
          for (int64_t step = 0; step < real.size(0); ++step) {
            averages.begin();
            averages.update(real[step].mean(), fake[step].mean(), 1);
            terms.push_back(averages.loss(real[step], fake[step]));
          }
          auto result = averages.state();
          result.emplace_back("losses", at::stack(terms));
          return result;
        },
        to_object);
  });
}

}  // namespace

void define_adversarial_functions(Napi::Env env, Napi::Object exports) {
  exports.Set("diffAugment", Napi::Function::New(env, augment, "diffAugment"));
  exports.Set("adversarialLosses", Napi::Function::New(env, losses, "adversarialLosses"));
  exports.Set("lecam", Napi::Function::New(env, lecam, "lecam"));
}

}  // namespace mactok
