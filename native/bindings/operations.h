#pragma once

#include <napi.h>

namespace mactok {

/** compute and peek in lib/native/types/tensor.ts. */
void define_operation_functions(Napi::Env env, Napi::Object exports);

}  // namespace mactok
