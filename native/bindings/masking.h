#pragma once

#include <napi.h>

#include "masking/mask.h"

namespace mactok {

/** NativeMaskConfig in lib/native/types/tokenizer.ts. */
MaskOptions mask_options(const Napi::Value& value, const std::string& name);

/** imageMask of lib/native/types/tokenizer.ts. */
void define_mask_functions(Napi::Env env, Napi::Object exports);

}  // namespace mactok
