#pragma once

#include <napi.h>

#include <memory>

#include "train/flow_step.h"

namespace mactok {

/** NativeFlowTrainer in lib/native/addon.ts. */
class FlowTrainerHandle : public Napi::ObjectWrap<FlowTrainerHandle> {
 public:
  static constexpr const char* kClass = "FlowTrainer";

  static void define(Napi::Env env, Napi::Object exports);
  explicit FlowTrainerHandle(const Napi::CallbackInfo& info);

  /** What the handle holds: the step and the two models that it writes. */
  struct Trainer {
    std::shared_ptr<Denoiser> generator, ema;
    std::shared_ptr<FlowStep> step;
    at::Device device;
  };

 private:
  Napi::Value generator(const Napi::CallbackInfo& info);
  Napi::Value ema(const Napi::CallbackInfo& info);
  Napi::Value step(const Napi::CallbackInfo& info);
  Napi::Value metrics(const Napi::CallbackInfo& info);
  Napi::Value gradients(const Napi::CallbackInfo& info);
  Napi::Value state(const Napi::CallbackInfo& info);
  Napi::Value load(const Napi::CallbackInfo& info);
  void dispose(const Napi::CallbackInfo& info);

  const Trainer& alive(Napi::Env env) const;

  std::unique_ptr<Trainer> trainer_;
};

}  // namespace mactok
