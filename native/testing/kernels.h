#pragma once

#include <napi.h>

namespace mactok {

/** runKernel, keptByKernel and timeKernel. */
void define_kernel_functions(Napi::Env env, Napi::Object exports);

}  // namespace mactok
