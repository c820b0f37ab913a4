#include <napi.h>

#include "bindings/exports.h"

namespace {

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  mactok::define_exports(env, exports);
  return exports;
}

}  // namespace

NODE_API_MODULE(NODE_GYP_MODULE_NAME, initialize)
