#pragma once

#include <napi.h>

namespace mactok {

/** What the runtime does between jobs and beside other engines. */
void define_runtime_functions(Napi::Env env, Napi::Object exports);

}  // namespace mactok
