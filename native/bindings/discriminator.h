#pragma once

#include "bindings/model_handle.h"
#include "models/discriminator.h"

namespace mactok {

/** NativeDiscriminator in lib/native/types/tokenizer-training.ts. */
class DiscriminatorHandle : public ModelHandle<DiscriminatorHandle, Discriminator> {
 public:
  static constexpr const char* kClass = "Discriminator";
  static constexpr const char* kWhat = "discriminator";

  static void define(Napi::Env env, Napi::Object exports);
  using ModelHandle::ModelHandle;
};

}  // namespace mactok
