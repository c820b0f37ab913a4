#include "bindings/generator.h"

#include "bindings/choice.h"
#include "bindings/flow.h"
#include "bindings/tensor.h"
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
    const auto seed =
        info[2].IsNull() ? std::nullopt : std::optional(convert::index(info[2], "seed"));
    return run(
        info.Env(), device,
        [=]() -> std::shared_ptr<Denoiser> {
          const auto model = build();
          if (seed) initialize(*model, *seed);
          model->to(device);
          return model;
        },
        to_generator);
  });
}

}  // namespace

void GeneratorHandle::define(Napi::Env env, Napi::Object exports) {
  define_class(env, {});
  exports.Set("createGenerator", Napi::Function::New(env, create, "createGenerator"));
}

}  // namespace mactok
