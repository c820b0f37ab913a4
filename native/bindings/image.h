#pragma once

#include <napi.h>

namespace mactok {

/** resample in lib/native/types/files.ts. */
void define_image_functions(Napi::Env env, Napi::Object exports);

}  // namespace mactok
