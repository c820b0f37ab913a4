#include "bindings/profile.h"

#include "bindings/convert.h"
#include "bindings/promise.h"
#include "runtime/device.h"
#include "runtime/profiler.h"

namespace mactok {
namespace {

at::Device device_argument(const Napi::CallbackInfo& info) {
  return parse_device(convert::string(info[0], "device"));
}

/** NativeProfile in lib/native/types/system.ts: five columns, times in µs. */
Napi::Value to_profile(Napi::Env env, const Profile& profile) {
  auto names = Napi::Array::New(env, profile.names.size());
  for (uint32_t i = 0; i < profile.names.size(); ++i) names.Set(i, profile.names[i]);
  auto spans = Napi::Float64Array::New(env, profile.spans.size() * 5);
  double* out = spans.Data();
  for (const auto& [name, thread, number, begin, end] : profile.spans) {
    *out++ = name;
    *out++ = thread;
    *out++ = static_cast<double>(number);
    *out++ = static_cast<double>(begin) / 1e3;
    *out++ = static_cast<double>(end) / 1e3;
  }
  auto result = Napi::Object::New(env);
  result.Set("names", names);
  result.Set("spans", spans);
  return result;
}

/**
 * Starts between two jobs of the device, and stops so: LibTorch requires that nothing else runs.
 */
Napi::Value start(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    return run(info.Env(), device_argument(info), start_profile, to_undefined);
  });
}

Napi::Value stop(const Napi::CallbackInfo& info) {
  return guarded(info.Env(),
                 [&] { return run(info.Env(), device_argument(info), stop_profile, to_profile); });
}

}  // namespace

void define_profile_functions(Napi::Env env, Napi::Object exports) {
  exports.Set("startProfile", Napi::Function::New(env, start, "startProfile"));
  exports.Set("stopProfile", Napi::Function::New(env, stop, "stopProfile"));
}

}  // namespace mactok
