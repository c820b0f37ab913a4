#pragma once

#include <napi.h>

namespace mactok {

/** resamplePositions and resamplePatchKernel of lib/native/addon.ts. */
void define_resample_functions(Napi::Env env, Napi::Object exports);

}  // namespace mactok
