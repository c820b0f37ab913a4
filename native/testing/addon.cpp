// The addon with what only tests and benchmarks call. It ships nowhere; MACTOK_ADDON=mactok_testing
// loads it in place of the addon (lib/native/find.ts), so that both kinds of functions share one
// set of classes and engines.

#include <napi.h>

#include "bindings/exports.h"
#include "testing/adversarial.h"
#include "testing/device_control.h"
#include "testing/discriminator.h"
#include "testing/flow.h"
#include "testing/kernels.h"
#include "testing/perceptual.h"
#include "testing/runtime.h"
#include "testing/trainers.h"

namespace {

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  mactok::define_exports(env, exports);
  mactok::define_adversarial_functions(env, exports);
  mactok::define_device_functions(env, exports);
  mactok::define_flow_functions(env, exports);
  mactok::define_kernel_functions(env, exports);
  mactok::define_runtime_functions(env, exports);
  mactok::define_discriminator_methods(env);
  mactok::define_perceptual_methods(env);
  mactok::define_trainer_methods(env);
  return exports;
}

}  // namespace

NODE_API_MODULE(NODE_GYP_MODULE_NAME, initialize)
