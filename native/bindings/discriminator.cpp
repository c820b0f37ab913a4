#include "bindings/discriminator.h"

#include "runtime/device.h"

namespace mactok {
namespace {

DiscriminatorOptions discriminator_options(const Napi::Value& value) {
  const auto config = convert::object(value, "config");
  const auto patch = convert::integer(config.Get("patchSize"), "patchSize");
  const auto input = convert::integer(config.Get("inputSize"), "inputSize");
  if (patch < 1 || input < patch || input % patch != 0) {
    convert::invalid(value.Env(), "patchSize", "a divisor of inputSize");
  }
  return {.backbone = vit_options(config.Get("vit"), "vit", patch, input / patch),
          .levels = convert::shape(config.Get("levels"), "levels"),
          .kernel = convert::integer(config.Get("kernel"), "kernel")};
}

Napi::Value create(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto options = discriminator_options(info[0]);
    const auto device = parse_device(convert::string(info[1], "device"));
    const auto seed = convert::index(info[2], "seed");
    return run(
        info.Env(), device,
        [=] {
          auto discriminator = std::make_shared<Discriminator>(options);
          initialize(*discriminator, seed);
          discriminator->set_trained(false);
          discriminator->to(device);
          return discriminator;
        },
        [](Napi::Env env, const std::shared_ptr<Discriminator>& discriminator) {
          return DiscriminatorHandle::wrap(env, discriminator);
        });
  });
}

}  // namespace

void DiscriminatorHandle::define(Napi::Env env, Napi::Object exports) {
  define_class(env, {});
  exports.Set("createDiscriminator", Napi::Function::New(env, create, "createDiscriminator"));
}

}  // namespace mactok
