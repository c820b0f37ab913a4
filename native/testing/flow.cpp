#include "testing/flow.h"

#include "bindings/convert.h"
#include "bindings/flow.h"
#include "bindings/generator.h"
#include "bindings/promise.h"
#include "bindings/tensor.h"
#include "runtime/device.h"
#include "testing/method.h"
#include "testing/mixture.h"

namespace mactok {
namespace {

Napi::Value losses(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto model = GeneratorHandle::unwrap(info[0], "generator");
    const auto flow = flow_options(info[1], "flow");
    const auto loss = flow_loss_options(info[2], "loss");
    const auto latents = TensorHandle::unwrap(info[3], "latents");
    const auto labels = class_labels(info[4], "labels", latents.size(0));
    const auto noise = TensorHandle::unwrap(info[5], "noise");
    const auto times = TensorHandle::unwrap(info[6], "times");
    return run(
        info.Env(), module_device(*model),
        [=] { return flow_losses(*model, flow, loss, {latents, labels}, noise, times); },
        [](Napi::Env env, const FlowLosses& losses) -> Napi::Value {
          auto result = Napi::Object::New(env);
          result.Set("flow", TensorHandle::wrap(env, losses.flow));
          result.Set("direction", losses.direction.defined()
                                      ? TensorHandle::wrap(env, losses.direction)
                                      : env.Null());
          return result;
        });
  });
}

struct FieldValue {
  at::Tensor velocity, noise, score, drift;
  double diffusion;
};

Napi::Value field(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto model = GeneratorHandle::unwrap(info[0], "generator");
    const auto flow = flow_options(info[1], "flow");
    const auto sde = diffusion_options(info[2], "diffusion");
    const auto latents = TensorHandle::unwrap(info[3], "latents");
    const auto labels = class_labels(info[4], "labels", latents.size(0));
    const double time = convert::number(info[5], "time");
    return run(
        info.Env(), module_device(*model),
        [=] {
          Field field(model, flow, labels,
                      {.scale = 1, .low = 0, .high = 1, .channels = 0, .weak = {}});
          const auto estimate = field(latents, {time});
          const auto sigma =
              coefficients_like(flow.path, vector_like({time}, latents), latents).sigma;
          const auto amount = diffusion(sde, flow.path, time);
          return FieldValue{estimate.velocity, estimate.noise, -estimate.noise / sigma,
                            sde_drift(estimate, amount), amount.amount};
        },
        [](Napi::Env env, const FieldValue& value) -> Napi::Value {
          auto result = Napi::Object::New(env);
          result.Set("velocity", TensorHandle::wrap(env, value.velocity));
          result.Set("noise", TensorHandle::wrap(env, value.noise));
          result.Set("score", TensorHandle::wrap(env, value.score));
          result.Set("drift", TensorHandle::wrap(env, value.drift));
          result.Set("diffusion", value.diffusion);
          return result;
        });
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
        [](Napi::Env env, const std::shared_ptr<Denoiser>& model) {
          return GeneratorHandle::wrap(env, model);
        });
  });
}

Napi::Value predict(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto model = GeneratorHandle::unwrap(info.This(), "this");
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

}  // namespace

void define_flow_functions(Napi::Env env, Napi::Object exports) {
  exports.Set("createMixture", Napi::Function::New(env, create_mixture, "createMixture"));
  exports.Set("flowLosses", Napi::Function::New(env, losses, "flowLosses"));
  exports.Set("flowField", Napi::Function::New(env, field, "flowField"));
  add_method(env, GeneratorHandle::kClass, "predict", predict);
}

}  // namespace mactok
