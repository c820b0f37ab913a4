#pragma once

#include <napi.h>

namespace mactok {

/** startProfile and stopProfile in lib/native/types/system.ts. */
void define_profile_functions(Napi::Env env, Napi::Object exports);

}  // namespace mactok
