#pragma once

#include "bindings/model_handle.h"
#include "models/lpips.h"

namespace mactok {

/** NativePerceptual in lib/native/types/tokenizer-training.ts. */
class PerceptualHandle : public ModelHandle<PerceptualHandle, Lpips> {
 public:
  static constexpr const char* kClass = "Perceptual";
  static constexpr const char* kWhat = "perceptual network";

  static void define(Napi::Env env, Napi::Object exports);
  using ModelHandle::ModelHandle;

 private:
  Napi::Value distance(const Napi::CallbackInfo& info);
};

}  // namespace mactok
