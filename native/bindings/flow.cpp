#include "bindings/flow.h"

#include "bindings/choice.h"
#include "bindings/convert.h"
#include "bindings/generator.h"
#include "bindings/promise.h"
#include "bindings/tensor.h"

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

}  // namespace

PathKind path_kind(const Napi::Value& value, const std::string& name) {
  return choice<PathKind>(
      value, name, {{"linear", PathKind::linear}, {"gvp", PathKind::gvp}, {"vp", PathKind::vp}});
}

FlowOptions flow_options(const Napi::Value& value, const std::string& name) {
  const auto config = convert::object(value, name);
  return {.path = path_kind(config.Get("path"), name + ".path"),
          .prediction = choice<Prediction>(config.Get("prediction"), name + ".prediction",
                                           {{"velocity", Prediction::velocity},
                                            {"noise", Prediction::noise},
                                            {"score", Prediction::score}}),
          .time = choice<TimeDirection>(config.Get("time"), name + ".time",
                                        {{"data_at_1", TimeDirection::data_at_one},
                                         {"data_at_0", TimeDirection::data_at_zero}})};
}

FlowLossOptions flow_loss_options(const Napi::Value& value, const std::string& name) {
  const auto config = convert::object(value, name);
  return {.weighting = choice<Weighting>(config.Get("weighting"), name + ".weighting",
                                         {{"none", Weighting::none},
                                          {"velocity", Weighting::velocity},
                                          {"likelihood", Weighting::likelihood}}),
          .direction_weight = convert::number(config.Get("direction"), name + ".direction")};
}

DiffusionOptions diffusion_options(const Napi::Value& value, const std::string& name) {
  const auto config = convert::object(value, name);
  const auto field = [&name](const char* key) { return name + "." + key; };
  return {.form = choice<DiffusionForm>(
              config.Get("form"), field("form"),
              {{"constant", DiffusionForm::constant},
               {"sbdm", DiffusionForm::sbdm},
               {"sigma", DiffusionForm::sigma},
               {"linear", DiffusionForm::linear},
               {"decreasing", DiffusionForm::decreasing},
               {"increasing-decreasing", DiffusionForm::increasing_decreasing}}),
          .norm = convert::number(config.Get("norm"), field("norm")),
          .last_step = choice<LastStep>(config.Get("lastStep"), field("lastStep"),
                                        {{"mean", LastStep::mean},
                                         {"tweedie", LastStep::tweedie},
                                         {"euler", LastStep::euler},
                                         {"none", LastStep::none}}),
          .last_step_size = convert::number(config.Get("lastStepSize"), field("lastStepSize"))};
}

Guidance guidance_options(const Napi::Value& value, const std::string& name) {
  const auto config = convert::object(value, name);
  const auto field = [&name](const char* key) { return name + "." + key; };
  const auto weak = config.Get("weak");
  return {.scale = convert::number(config.Get("scale"), field("scale")),
          .low = convert::number(config.Get("low"), field("low")),
          .high = convert::number(config.Get("high"), field("high")),
          .channels = convert::integer(config.Get("channels"), field("channels")),
          .weak = weak.IsNull() ? nullptr : GeneratorHandle::unwrap(weak, field("weak"))};
}

at::Tensor class_labels(const Napi::Value& value, const std::string& name, int64_t batch) {
  const auto labels = TensorHandle::unwrap(value, name);
  if (labels.scalar_type() != at::kLong || labels.dim() != 1 || labels.size(0) != batch) {
    convert::invalid(value.Env(), name, "an int64 tensor [" + std::to_string(batch) + "]");
  }
  return labels;
}

void define_flow_functions(Napi::Env env, Napi::Object exports) {
  exports.Set("flowLosses", Napi::Function::New(env, losses, "flowLosses"));
  exports.Set("flowField", Napi::Function::New(env, field, "flowField"));
}

}  // namespace mactok
