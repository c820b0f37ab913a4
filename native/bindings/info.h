#pragma once

#include <napi.h>

namespace mactok {

/** info, setThreads, memory and deviceMemory in lib/native/types/system.ts. */
void define_info_functions(Napi::Env env, Napi::Object exports);

}  // namespace mactok
