#pragma once

#include "bindings/model_handle.h"
#include "models/inception.h"

namespace mactok {

/** NativeInception in lib/native/types/evaluation.ts. */
class InceptionHandle : public ModelHandle<InceptionHandle, Inception> {
 public:
  static constexpr const char* kClass = "Inception";
  static constexpr const char* kWhat = "Inception network";

  static void define(Napi::Env env, Napi::Object exports);
  using ModelHandle::ModelHandle;

 private:
  Napi::Value features(const Napi::CallbackInfo& info);
};

}  // namespace mactok
