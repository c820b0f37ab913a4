#pragma once

#include <napi.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bindings/convert.h"
#include "bindings/module.h"
#include "bindings/promise.h"
#include "train/training_step.h"

namespace mactok {

/**
 * What the JavaScript handles of all trainers share: the network in training under the name
 * `Self::kNetwork`, `ema`, `metrics`, `state`, `load` and `dispose`. `Self` has `step` and
 * `gradients`, and `kClass` is its name.
 */
template <typename Self, typename NetworkHandle, typename Step>
class TrainerHandle : public Napi::ObjectWrap<Self> {
 public:
  /** The step, and the two networks that it writes. */
  struct Trainer {
    typename NetworkHandle::Pointer network, ema;
    std::shared_ptr<Step> step;
    at::Device device;
  };

  static Napi::Value wrap(Napi::Env env, const Trainer& trainer) {
    auto copy = trainer;
    return Environment::of(env)
        .constructor(Self::kClass)
        .New({Napi::External<Trainer>::New(env, &copy)});
  }

  explicit TrainerHandle(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Self>(info) {
    if (!info[0].IsExternal()) {
      convert::invalid(info.Env(), "trainer", "a trainer made by the addon");
    }
    trainer_ = std::make_unique<Trainer>(*info[0].As<Napi::External<Trainer>>().Data());
    for (const auto& model : {trainer_->network, trainer_->ema}) {
      bytes_.push_back(std::make_unique<ModelBytes>(info.Env(), *model));
    }
  }

  Napi::Value network(const Napi::CallbackInfo& info) {
    return NetworkHandle::wrap(info.Env(), alive(info.Env()).network);
  }
  Napi::Value ema(const Napi::CallbackInfo& info) {
    return NetworkHandle::wrap(info.Env(), alive(info.Env()).ema);
  }
  Napi::Value metrics(const Napi::CallbackInfo& info) {
    const auto& trainer = alive(info.Env());
    return run(
        info.Env(), trainer.device, [step = trainer.step] { return step->metrics(); },
        [](Napi::Env env, const std::map<std::string, double>& metrics) -> Napi::Value {
          auto result = Napi::Object::New(env);
          for (const auto& [name, value] : metrics) result.Set(name, value);
          return result;
        });
  }
  Napi::Value state(const Napi::CallbackInfo& info) {
    auto result = Napi::Object::New(info.Env());
    for (const auto& [group, tensors] : alive(info.Env()).step->state()) {
      result.Set(group, to_state(info.Env(), tensors));
    }
    return result;
  }
  /** Loads a checkpoint's groups; empty ones may be absent. */
  Napi::Value load(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] {
      const auto& trainer = alive(info.Env());
      const auto given = convert::object(info[0], "state");
      std::vector<std::function<void()>> assignments;
      for (const auto& [group, targets] : trainer.step->state()) {
        if (targets.empty() && given.Get(group).IsUndefined()) continue;
        assignments.push_back(assignment(targets, from_state(given.Get(group), group), group));
      }
      return run(
          info.Env(), trainer.device,
          [assignments, step = trainer.step] {
            step->allocate_state();
            for (const auto& assign : assignments) assign();
            step->share_state();
          },
          to_undefined);
    });
  }
  Napi::Value gather(const Napi::CallbackInfo& info) {
    return run_step(info.Env(), [](Step& step) { step.gather_state(); });
  }
  Napi::Value share_average(const Napi::CallbackInfo& info) {
    return run_step(info.Env(), [](Step& step) { step.share_average(); });
  }
  Napi::Value release_gathered(const Napi::CallbackInfo& info) {
    return run_step(info.Env(), [](Step& step) { step.release_state(); });
  }
  /** Frees the memory once the engine has run what is queued. */
  void dispose(const Napi::CallbackInfo& info) {
    bytes_.clear();
    if (!trainer_) return;
    const auto device = trainer_->device;
    release(info.Env(), device, std::shared_ptr<Trainer>(std::move(trainer_)));
  }

 protected:
  static void define_class(Napi::Env env) {
    std::vector<Napi::ClassPropertyDescriptor<Self>> properties{
        Self::InstanceAccessor(Self::kNetwork, &Self::network, nullptr),
        Self::InstanceAccessor("ema", &Self::ema, nullptr),
        Self::InstanceMethod("step", &Self::step),
        Self::InstanceMethod("metrics", &Self::metrics),
        Self::InstanceMethod("state", &Self::state),
        Self::InstanceMethod("load", &Self::load),
        Self::InstanceMethod("gather", &Self::gather),
        Self::InstanceMethod("shareAverage", &Self::share_average),
        Self::InstanceMethod("release", &Self::release_gathered),
        Self::InstanceMethod("dispose", &Self::dispose),
    };
    Environment::of(env).define(Self::kClass, Self::DefineClass(env, Self::kClass, properties));
  }

  const Trainer& alive(Napi::Env env) const {
    if (!trainer_) throw Napi::TypeError::New(env, "This trainer is disposed");
    return *trainer_;
  }

  /** Runs `train(step)` on the engine. */
  template <typename Train>
  Napi::Value run_step(Napi::Env env, Train train) {
    const auto& trainer = alive(env);
    return run(env, trainer.device, [step = trainer.step, train] { train(*step); }, to_undefined);
  }

  /** Runs `compute(step)` on the engine; resolves to the gradients by name. */
  template <typename Compute>
  Napi::Value run_gradients(Napi::Env env, Compute compute) {
    const auto& trainer = alive(env);
    return run(
        env, trainer.device, [step = trainer.step, compute] { return compute(*step); },
        [](Napi::Env env, const NamedTensors& gradients) -> Napi::Value {
          return to_state(env, gradients);
        });
  }

 private:
  std::unique_ptr<Trainer> trainer_;
  std::vector<std::unique_ptr<ModelBytes>> bytes_;
};

/** NativeTrainerConfig['optimizer'] in lib/native/types/tokenizer-training.ts. */
OptimizerOptions optimizer_options(const Napi::Value& value, const std::string& name);

/** What NativeTrainerConfig and NativeFlowTrainerConfig share. */
TrainingOptions training_options(const Napi::Object& config);

}  // namespace mactok
