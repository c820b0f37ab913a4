#pragma once

#include <napi.h>

#include "bindings/model_handle.h"
#include "models/denoiser.h"

namespace mactok {

/** NativeGenerator in lib/native/types/generator.ts. */
class GeneratorHandle : public ModelHandle<GeneratorHandle, Denoiser> {
 public:
  static constexpr const char* kClass = "Generator";
  static constexpr const char* kWhat = "generator";

  static void define(Napi::Env env, Napi::Object exports);
  using ModelHandle::ModelHandle;
};

}  // namespace mactok
