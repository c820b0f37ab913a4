#pragma once

#include "bindings/model_handle.h"
#include "models/discriminator.h"

namespace mactok {

/** NativeDiscriminator in lib/native/addon.ts. */
class DiscriminatorHandle : public ModelHandle<DiscriminatorHandle, Discriminator> {
 public:
  static constexpr const char* kClass = "Discriminator";
  static constexpr const char* kWhat = "discriminator";

  static void define(Napi::Env env, Napi::Object exports);
  using ModelHandle::ModelHandle;

 private:
  Napi::Value logits(const Napi::CallbackInfo& info);
  Napi::Value judge(const Napi::CallbackInfo& info);
  Napi::Value tell(const Napi::CallbackInfo& info);
};

}  // namespace mactok
