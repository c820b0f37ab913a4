#pragma once

#include <napi.h>

namespace mactok {

/** readTorchArchive in lib/native/types/files.ts. */
void define_torch_archive_functions(Napi::Env env, Napi::Object exports);

}  // namespace mactok
