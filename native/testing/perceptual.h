#pragma once

#include <napi.h>

namespace mactok {

/** LPIPS's `gradient`. */
void define_perceptual_methods(Napi::Env env);

}  // namespace mactok
