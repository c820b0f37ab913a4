// The addon that loads without LibTorch: it opens LibTorch's libraries by path, so that the addon
// proper, which has no path to them, finds them by name. lib/native/load.ts decides what to open.

#include <napi.h>

#include <cstdlib>

#include "os/loaded_libraries.h"
#include "os/open_library.h"

namespace {

/**
 * Makes threads spin for about 100 µs while they wait for the next loop, instead of libgomp's
 * milliseconds, unless the environment says otherwise: as fast on idle cores, and several times as
 * fast beside other programs, because spinning threads keep cores from them. libgomp reads the
 * variable when it is loaded; child processes do not inherit it.
 */
class SpinCount {
 public:
#ifdef __linux__
  SpinCount() {
    if (getenv("OMP_WAIT_POLICY") || getenv("GOMP_SPINCOUNT")) return;
    set_ = setenv("GOMP_SPINCOUNT", "10000", 0) == 0;
  }
  ~SpinCount() {
    if (set_) unsetenv("GOMP_SPINCOUNT");
  }
  SpinCount(const SpinCount&) = delete;
  SpinCount& operator=(const SpinCount&) = delete;

 private:
  bool set_ = false;
#endif
};

Napi::Value open(const Napi::CallbackInfo& info) {
  [[maybe_unused]] const SpinCount spin;
  const std::string problem = mactok::open_library(info[0].As<Napi::String>().Utf8Value());
  if (!problem.empty()) throw Napi::Error::New(info.Env(), problem);
  return info.Env().Undefined();
}

Napi::Value loaded(const Napi::CallbackInfo& info) {
  const auto paths = mactok::loaded_libraries();
  auto result = Napi::Array::New(info.Env(), paths.size());
  for (uint32_t i = 0; i < paths.size(); ++i) result[i] = paths[i];
  return result;
}

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  exports.Set("builtAgainst", MACTOK_LIBTORCH_VERSION);
  exports.Set("open", Napi::Function::New(env, open, "open"));
  exports.Set("loaded", Napi::Function::New(env, loaded, "loaded"));
  return exports;
}

}  // namespace

NODE_API_MODULE(NODE_GYP_MODULE_NAME, initialize)
