#include "bindings/generator.h"

#include "bindings/choice.h"
#include "bindings/flow.h"
#include "bindings/tensor.h"
#include "flow/mixture.h"
#include "models/lightning_dit.h"
#include "models/sit.h"
#include "runtime/device.h"

namespace mactok {
namespace {

DiffusionTransformerOptions transformer_options(const Napi::Object& config) {
  const auto integer = [&](const char* key) { return convert::integer(config.Get(key), key); };
  return {.latent_shape = convert::shape(config.Get("latentShape"), "latentShape"),
          .patch = integer("patchSize"),
          .width = integer("width"),
          .depth = integer("depth"),
          .heads = integer("heads"),
          .mlp_ratio = convert::number(config.Get("mlpRatio"), "mlpRatio"),
          .classes = integer("classes"),
          .learn_sigma = convert::boolean(config.Get("learnSigma"), "learnSigma"),
          .checkpointing = convert::boolean(config.Get("checkpointing"), "checkpointing")};
}

using Build = std::function<std::shared_ptr<DiffusionTransformer>()>;

Build builder(const Napi::Value& value) {
  const auto config = convert::object(value, "config");
  const auto transformer = transformer_options(config);
  enum class Model { sit, lightning_dit };
  const auto model = choice<Model>(config.Get("model"), "model",
                                   {{"sit", Model::sit}, {"lightning-dit", Model::lightning_dit}});
  if (model == Model::sit) return [transformer] { return std::make_shared<Sit>(transformer); };
  const LightningDitOptions options{.transformer = transformer,
                                    .qk_norm = convert::boolean(config.Get("qkNorm"), "qkNorm"),
                                    .shift = convert::boolean(config.Get("shift"), "shift")};
  return [options] { return std::make_shared<LightningDit>(options); };
}

Napi::Value to_generator(Napi::Env env, const std::shared_ptr<Denoiser>& model) {
  return GeneratorHandle::wrap(env, model);
}

Napi::Value create(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto build = builder(info[0]);
    const auto device = parse_device(convert::string(info[1], "device"));
    const auto seed = convert::index(info[2], "seed");
    return run(
        info.Env(), device,
        [=]() -> std::shared_ptr<Denoiser> {
          const auto model = build();
          initialize(*model, seed);
          model->to(device);
          return model;
        },
        to_generator);
  });
}

Napi::Value create_mixture(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto config = convert::object(info[0], "config");
    const MixtureOptions options{
        .latent_shape = convert::shape(config.Get("latentShape"), "latentShape"),
        .classes = convert::integer(config.Get("classes"), "classes"),
        .components = convert::integer(config.Get("components"), "components"),
        .path = path_kind(config.Get("path"), "path")};
    const auto device = parse_device(convert::string(info[1], "device"));
    return run(
        info.Env(), device,
        [=]() -> std::shared_ptr<Denoiser> {
          const auto model = std::make_shared<Mixture>(options);
          model->to(device);
          return model;
        },
        to_generator);
  });
}

}  // namespace

void GeneratorHandle::define(Napi::Env env, Napi::Object exports) {
  define_class(env, {InstanceMethod<&GeneratorHandle::predict>("predict")});
  exports.Set("createGenerator", Napi::Function::New(env, create, "createGenerator"));
  exports.Set("createMixture", Napi::Function::New(env, create_mixture, "createMixture"));
}

Napi::Value GeneratorHandle::predict(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto model = alive(info.Env());
    const auto device = module_device(*model);
    const auto latents = TensorHandle::unwrap(info[0], "latents");
    const auto times = TensorHandle::unwrap(info[1], "times");
    const auto labels = class_labels(info[2], "labels", latents.size(0));
    const auto precision = convert::precision(info[3], "precision");
    return run(
        info.Env(), device,
        [=] {
          const Autocast autocast(device.type(), precision);
          return model->forward(latents.to(device, at::kFloat), times.to(device, at::kFloat),
                                labels.to(device));
        },
        [](Napi::Env env, const at::Tensor& output) { return TensorHandle::wrap(env, output); });
  });
}

}  // namespace mactok
