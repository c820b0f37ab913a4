#pragma once

#include <napi.h>

namespace mactok {

/** runKernel(name, inputs, upstream, fused): a kernel of native/kernels, or LibTorch's operations for the same, with gradients. */
void define_kernel_functions(Napi::Env env, Napi::Object exports);

}  // namespace mactok
