#pragma once

#include <napi.h>

namespace mactok {

/** linearProbe of lib/native/types/evaluation.ts. */
void define_probe_functions(Napi::Env env, Napi::Object exports);

}  // namespace mactok
