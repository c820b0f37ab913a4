#pragma once

#include <napi.h>

namespace mactok {

/** info, setThreads and memory of lib/native/addon.ts. */
void define_info_functions(Napi::Env env, Napi::Object exports);

}  // namespace mactok
