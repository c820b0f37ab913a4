#pragma once

#include <napi.h>

namespace mactok {

/** resamplePositions and resamplePatchKernel in lib/native/types/tokenizer.ts. */
void define_position_functions(Napi::Env env, Napi::Object exports);

}  // namespace mactok
