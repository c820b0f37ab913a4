#include "testing/discriminator.h"

#include "bindings/adversarial.h"
#include "bindings/discriminator.h"
#include "bindings/tensor.h"
#include "nn/network_images.h"
#include "runtime/cuda_library.h"
#include "testing/method.h"

namespace mactok {
namespace {

at::Tensor crop_draw(const Napi::Value& value) {
  const auto config = convert::object(value, "crop");
  const auto number = [&](const char* key) {
    return convert::number(config.Get(key), std::string("crop.") + key);
  };
  return at::tensor({number("coin"), number("top"), number("left")}, at::kDouble).view({1, 3});
}

Napi::Value to_object(Napi::Env env, const NamedTensors& tensors) { return to_state(env, tensors); }

Napi::Value logits(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto discriminator = DiscriminatorHandle::unwrap(info.This(), "this");
    const auto device = module_device(*discriminator);
    const auto images = TensorHandle::unwrap(info[0], "images");
    const auto crop = upload(crop_draw(info[1]), device);
    const auto precision = convert::precision(info[2], "precision");
    return run(
        info.Env(), device,
        [=] {
          const Autocast autocast(device.type(), precision);
          const bool training = discriminator->is_training();
          discriminator->eval();
          const auto logits = discriminator->forward(to_network_images(images, device), crop);
          discriminator->train(training);
          return logits;
        },
        [](Napi::Env env, const at::Tensor& logits) { return TensorHandle::wrap(env, logits); });
  });
}

Napi::Value generator_pass(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto discriminator = DiscriminatorHandle::unwrap(info.This(), "this");
    const auto device = module_device(*discriminator);
    const auto images = TensorHandle::unwrap(info[0], "images");
    const auto kind = adversarial_loss(info[1], "loss");
    const auto crop = upload(crop_draw(info[2]), device);
    return run(
        info.Env(), device,
        [=]() -> NamedTensors {
          const at::AutoGradMode with_gradients(true);
          const auto x = to_network_images(images, device).detach().requires_grad_(true);
          discriminator->train();
          const auto logits = discriminator->forward(x, crop);
          const auto loss = generator_loss(kind, logits);
          const auto gradient = torch::autograd::grad({loss}, {x})[0];
          return {{"logits", logits.detach()}, {"loss", loss.detach()}, {"gradient", gradient}};
        },
        to_object);
  });
}

Napi::Value discriminator_pass(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto discriminator = DiscriminatorHandle::unwrap(info.This(), "this");
    const auto device = module_device(*discriminator);
    const auto real = TensorHandle::unwrap(info[0], "real");
    const auto fake = TensorHandle::unwrap(info[1], "fake");
    const auto kind = adversarial_loss(info[2], "loss");
    const auto crop = upload(crop_draw(info[3]), device);
    return run(
        info.Env(), device,
        [=]() -> NamedTensors {
          const at::AutoGradMode with_gradients(true);
          discriminator->train();
          discriminator->set_trained(true);
          const auto logits = [&](const at::Tensor& images) {
            return discriminator->forward(to_network_images(images, device), crop);
          };
          const auto of_real = logits(real), of_fake = logits(fake);
          const auto loss = discriminator_loss(kind, of_real, of_fake);
          std::vector<at::Tensor> parameters;
          NamedTensors result{
              {"real", of_real.detach()}, {"fake", of_fake.detach()}, {"loss", loss.detach()}};
          for (const auto& item : discriminator->named_parameters()) {
            if (!item.value().requires_grad()) continue;
            parameters.push_back(item.value());
            result.emplace_back("gradient." + item.key(), at::Tensor());
          }
          const auto gradients = torch::autograd::grad({loss}, parameters);
          for (size_t i = 0; i < gradients.size(); ++i) result[3 + i].second = gradients[i];
          discriminator->set_trained(false);
          return result;
        },
        to_object);
  });
}

}  // namespace

void define_discriminator_methods(Napi::Env env) {
  add_method(env, DiscriminatorHandle::kClass, "logits", logits);
  add_method(env, DiscriminatorHandle::kClass, "generatorPass", generator_pass);
  add_method(env, DiscriminatorHandle::kClass, "discriminatorPass", discriminator_pass);
}

}  // namespace mactok
