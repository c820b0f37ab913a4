#pragma once

#include <napi.h>

#include "bindings/model_handle.h"
#include "models/tokenizer.h"

namespace mactok {

/** NativeTokenizer in lib/native/types/tokenizer.ts. */
class TokenizerHandle : public ModelHandle<TokenizerHandle, Tokenizer> {
 public:
  static constexpr const char* kClass = "Tokenizer";
  static constexpr const char* kWhat = "tokenizer";

  static void define(Napi::Env env, Napi::Object exports);
  using ModelHandle::ModelHandle;

 private:
  Napi::Value encode(const Napi::CallbackInfo& info);
  Napi::Value posterior(const Napi::CallbackInfo& info);
  Napi::Value decode(const Napi::CallbackInfo& info);
};

}  // namespace mactok
