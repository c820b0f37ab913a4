#include "bindings/flow_trainer.h"

#include "bindings/choice.h"
#include "bindings/convert.h"
#include "bindings/flow.h"
#include "bindings/promise.h"
#include "bindings/tensor.h"

namespace mactok {
namespace {

FlowStepOptions step_options(const Napi::Value& value) {
  const auto config = convert::object(value, "config");
  const auto timesteps = convert::object(config.Get("timesteps"), "timesteps");
  const auto number = [](const Napi::Object& object, const char* key) {
    return convert::number(object.Get(key), key);
  };
  return {
      .training = training_options(config),
      .flow = flow_options(config.Get("flow"), "flow"),
      .loss = flow_loss_options(config.Get("loss"), "loss"),
      .timesteps = {.distribution =
                        choice<TimeDistribution>(timesteps.Get("kind"), "timesteps.kind",
                                                 {{"uniform", TimeDistribution::uniform},
                                                  {"lognormal", TimeDistribution::lognormal}}),
                    .mean = number(timesteps, "mean"),
                    .deviation = number(timesteps, "deviation"),
                    .shift = number(timesteps, "shift")},
      .label_dropout = number(config, "labelDropout"),
  };
}

std::vector<FlowBatch> to_batches(const Napi::Value& value, const std::string& name) {
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
    const auto copy_weights =
        assignment(named_parameters(*ema), named_parameters(*generator), "ema");
    return run(
        info.Env(), device,
        [=] {
          copy_weights();
          auto step = std::make_shared<FlowStep>(generator, ema, options);
          step->share_state();
          return FlowTrainerHandle::Trainer{generator, ema, step, device};
        },
        FlowTrainerHandle::wrap);
  });
}

}  // namespace

void FlowTrainerHandle::define(Napi::Env env, Napi::Object exports) {
  define_class(env);
  exports.Set("createFlowTrainer", Napi::Function::New(env, create, "createFlowTrainer"));
}

Napi::Value FlowTrainerHandle::step(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto batches = to_batches(info[0], "microBatches");
    const auto options = convert::object(info[1], "options");
    const auto index = convert::index(options.Get("step"), "step");
    const double lr = convert::number(options.Get("lr"), "lr");
    return run_step(info.Env(), [=](FlowStep& step) { step.step(batches, index, lr); });
  });
}

Napi::Value FlowTrainerHandle::gradients(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto batches = to_batches(info[0], "microBatches");
    const auto index = convert::index(info[1], "step");
    return run_gradients(info.Env(),
                         [=](FlowStep& step) { return step.gradients(batches, index); });
  });
}

}  // namespace mactok
