#pragma once

#include <napi.h>

namespace mactok {

/** uniform and normal in lib/native/types/tensor.ts. */
void define_random_functions(Napi::Env env, Napi::Object exports);

}  // namespace mactok
