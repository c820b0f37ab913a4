#pragma once

#include "bindings/generator.h"
#include "bindings/trainer_handle.h"
#include "train/flow_step.h"

namespace mactok {

/** NativeFlowTrainer in lib/native/types/generator.ts. */
class FlowTrainerHandle : public TrainerHandle<FlowTrainerHandle, GeneratorHandle, FlowStep> {
 public:
  static constexpr const char* kClass = "FlowTrainer";
  static constexpr const char* kNetwork = "generator";

  static void define(Napi::Env env, Napi::Object exports);
  using TrainerHandle::TrainerHandle;

  Napi::Value step(const Napi::CallbackInfo& info);
  Napi::Value gradients(const Napi::CallbackInfo& info);
};

}  // namespace mactok
