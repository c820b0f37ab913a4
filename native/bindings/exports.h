#pragma once

#include <napi.h>

namespace mactok {

/** Attaches the environment and defines every function and class of lib/native/addon.ts. */
void define_exports(Napi::Env env, Napi::Object exports);

}  // namespace mactok
