#include "bindings/flow_trainer.h"

#include "bindings/convert.h"
#include "bindings/flow.h"
#include "bindings/generator.h"
#include "bindings/promise.h"
#include "bindings/tensor.h"

namespace mactok {
namespace {

using Trainer = FlowTrainerHandle::Trainer;

FlowStepOptions step_options(const Napi::Value& value) {
  const auto config = convert::object(value, "config");
  const auto timesteps = convert::object(config.Get("timesteps"), "timesteps");
  const auto optimizer = convert::object(config.Get("optimizer"), "optimizer");
  const auto betas = convert::array(optimizer.Get("betas"), "betas");
  const auto ema = convert::object(config.Get("ema"), "ema");
  const auto number = [](const Napi::Object& object, const char* key) {
    return convert::number(object.Get(key), key);
  };
  return {
      .seed = convert::index(config.Get("seed"), "seed"),
      .precision = convert::precision(config.Get("precision"), "precision"),
      .flow = flow_options(config.Get("flow"), "flow"),
      .loss = flow_loss_options(config.Get("loss"), "loss"),
      .timesteps = {.lognormal = convert::string(timesteps.Get("kind"), "kind") == "lognormal",
                    .mean = number(timesteps, "mean"),
                    .deviation = number(timesteps, "deviation"),
                    .shift = number(timesteps, "shift")},
      .label_dropout = number(config, "labelDropout"),
      .optimizer = {.beta1 = convert::number(betas.Get(0U), "betas"),
                    .beta2 = convert::number(betas.Get(1U), "betas"),
                    .eps = number(optimizer, "eps"),
                    .weight_decay = number(optimizer, "weightDecay"),
                    .clip_norm = number(optimizer, "clipNorm")},
      .ema = {.decay = number(ema, "decay"),
              .warmup = convert::boolean(ema.Get("warmup"), "warmup")},
  };
}

std::vector<FlowBatch> batches(const Napi::Value& value, const std::string& name) {
  const auto list = convert::array(value, name);
  if (list.Length() == 0) convert::invalid(value.Env(), name, "at least one micro-batch");
  std::vector<FlowBatch> result;
  for (uint32_t i = 0; i < list.Length(); ++i) {
    const auto part = convert::object(list.Get(i), name);
    const auto latents = TensorHandle::unwrap(part.Get("latents"), name + ".latents");
    result.push_back(
        {latents, class_labels(part.Get("labels"), name + ".labels", latents.size(0))});
  }
  return result;
}

Napi::Value create(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto generator = GeneratorHandle::unwrap(info[0], "generator");
    const auto ema = GeneratorHandle::unwrap(info[1], "ema");
    const auto options = step_options(info[2]);
    const auto device = module_device(*generator);
    const auto start = assignment(named_parameters(*ema), named_parameters(*generator), "ema");
    return run(
        info.Env(), device,
        [=] {
          start();
          return Trainer{generator, ema, std::make_shared<FlowStep>(generator, ema, options),
                         device};
        },
        [](Napi::Env env, const Trainer& trainer) -> Napi::Value {
          auto copy = trainer;
          return Environment::of(env)
              .constructor(FlowTrainerHandle::kClass)
              .New({Napi::External<Trainer>::New(env, &copy)});
        });
  });
}

}  // namespace

void FlowTrainerHandle::define(Napi::Env env, Napi::Object exports) {
  using Self = FlowTrainerHandle;
  Environment::of(env).define(kClass,
                              DefineClass(env, kClass,
                                          {
                                              InstanceAccessor<&Self::generator>("generator"),
                                              InstanceAccessor<&Self::ema>("ema"),
                                              InstanceMethod<&Self::step>("step"),
                                              InstanceMethod<&Self::metrics>("metrics"),
                                              InstanceMethod<&Self::gradients>("gradients"),
                                              InstanceMethod<&Self::state>("state"),
                                              InstanceMethod<&Self::load>("load"),
                                              InstanceMethod<&Self::dispose>("dispose"),
                                          }));
  exports.Set("createFlowTrainer", Napi::Function::New(env, create, "createFlowTrainer"));
}

FlowTrainerHandle::FlowTrainerHandle(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<FlowTrainerHandle>(info) {
  if (!info[0].IsExternal()) convert::invalid(info.Env(), "trainer", "a trainer made by the addon");
  trainer_ = std::make_unique<Trainer>(*info[0].As<Napi::External<Trainer>>().Data());
}

const Trainer& FlowTrainerHandle::alive(Napi::Env env) const {
  if (!trainer_) throw Napi::TypeError::New(env, "This trainer is disposed");
  return *trainer_;
}

Napi::Value FlowTrainerHandle::generator(const Napi::CallbackInfo& info) {
  return GeneratorHandle::wrap(info.Env(), alive(info.Env()).generator);
}

Napi::Value FlowTrainerHandle::ema(const Napi::CallbackInfo& info) {
  return GeneratorHandle::wrap(info.Env(), alive(info.Env()).ema);
}

Napi::Value FlowTrainerHandle::step(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto& trainer = alive(info.Env());
    const auto parts = batches(info[0], "microBatches");
    const auto options = convert::object(info[1], "options");
    const auto index = convert::index(options.Get("step"), "step");
    const double lr = convert::number(options.Get("lr"), "lr");
    return run(
        info.Env(), trainer.device,
        [step = trainer.step, parts, index, lr] { step->step(parts, index, lr); }, to_undefined);
  });
}

Napi::Value FlowTrainerHandle::metrics(const Napi::CallbackInfo& info) {
  const auto& trainer = alive(info.Env());
  return run(
      info.Env(), trainer.device, [step = trainer.step] { return step->metrics(); },
      [](Napi::Env env, const std::map<std::string, double>& metrics) -> Napi::Value {
        auto result = Napi::Object::New(env);
        for (const auto& [name, value] : metrics) result.Set(name, value);
        return result;
      });
}

Napi::Value FlowTrainerHandle::gradients(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto& trainer = alive(info.Env());
    const auto parts = batches(info[0], "microBatches");
    const auto index = convert::index(info[1], "step");
    return run(
        info.Env(), trainer.device,
        [step = trainer.step, parts, index] { return step->gradients(parts, index); },
        [](Napi::Env env, const NamedTensors& gradients) -> Napi::Value {
          return to_state(env, gradients);
        });
  });
}

Napi::Value FlowTrainerHandle::state(const Napi::CallbackInfo& info) {
  auto result = Napi::Object::New(info.Env());
  for (const auto& [group, tensors] : alive(info.Env()).step->state()) {
    result.Set(group, to_state(info.Env(), tensors));
  }
  return result;
}

Napi::Value FlowTrainerHandle::load(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto& trainer = alive(info.Env());
    const auto given = convert::object(info[0], "state");
    std::vector<std::function<void()>> assignments;
    for (const auto& [group, targets] : trainer.step->state()) {
      assignments.push_back(assignment(targets, from_state(given.Get(group), group), group));
    }
    return run(
        info.Env(), trainer.device,
        [assignments] {
          for (const auto& assign : assignments) assign();
        },
        to_undefined);
  });
}

void FlowTrainerHandle::dispose(const Napi::CallbackInfo&) { trainer_.reset(); }

}  // namespace mactok
