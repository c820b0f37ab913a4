#pragma once

#include "bindings/tokenizer.h"
#include "bindings/trainer_handle.h"
#include "train/tokenizer_step.h"

namespace mactok {

/** NativeTokenizerTrainer in lib/native/types/tokenizer-training.ts. */
class TokenizerTrainerHandle
    : public TrainerHandle<TokenizerTrainerHandle, TokenizerHandle, TokenizerStep> {
 public:
  static constexpr const char* kClass = "TokenizerTrainer";
  static constexpr const char* kNetwork = "tokenizer";

  static void define(Napi::Env env, Napi::Object exports);
  using TrainerHandle::TrainerHandle;

  Napi::Value step(const Napi::CallbackInfo& info);
  Napi::Value gradients(const Napi::CallbackInfo& info);
};

}  // namespace mactok
