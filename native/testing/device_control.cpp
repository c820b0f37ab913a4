#include "testing/device_control.h"

#ifdef __linux__
#include <dlfcn.h>
#endif

#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "bindings/convert.h"
#include "bindings/promise.h"
#include "runtime/device.h"
#include "testing/device/interface.h"
#include "testing/planted_faults.h"

namespace mactok {
namespace {

using stand_in::Control;
using stand_in::Counts;

const Control& control() {
#ifdef __linux__
  using Entry = const Control* (*)();
  void* library = dlopen("libmactok_stand_in.so", RTLD_NOW | RTLD_NOLOAD);
  const auto entry = library ? reinterpret_cast<Entry>(dlsym(library, "mactok_stand_in")) : nullptr;
  if (entry) return *entry();
#endif
  throw std::runtime_error("The stand-in device is not loaded: `npm run test:device` does that");
}

Napi::Object to_object(Napi::Env env, const std::map<std::string, int64_t>& counts) {
  auto result = Napi::Object::New(env);
  for (const auto& [name, count] : counts) result.Set(name, static_cast<double>(count));
  return result;
}

Napi::Value counts(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Counts counts = control().take_counts();
    auto result = Napi::Object::New(info.Env());
    result.Set("operations", to_object(info.Env(), counts.operations));
    result.Set("synchronizations", to_object(info.Env(), counts.synchronizations));
    const std::map<std::string, int64_t> numbers{{"waits", counts.waits},
                                                 {"replays", counts.replays},
                                                 {"replayed", counts.replayed},
                                                 {"uploads", counts.uploads},
                                                 {"allocations", counts.allocations},
                                                 {"runAhead", counts.run_ahead},
                                                 {"peakBytes", counts.peak_bytes}};
    for (const auto& [name, count] : numbers) result.Set(name, static_cast<double>(count));
    return result;
  });
}

Napi::Value faults(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto faults = control().take_faults();
    auto result = Napi::Array::New(info.Env(), faults.size());
    for (uint32_t i = 0; i < faults.size(); ++i) result.Set(i, faults[i]);
    return result;
  });
}

template <void (*Control::*function)(int64_t)>
void set_number(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] { (control().*function)(convert::integer(info[0], "n")); });
}

void recover(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] { control().recover(); });
}

Napi::Value plant(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto fault = planted_fault(convert::string(info[0], "fault"));
    const auto device = parse_device(convert::string(info[1], "device"));
    return run(info.Env(), device, [fault, device] { fault(device); }, to_undefined);
  });
}

}  // namespace

void define_device_functions(Napi::Env env, Napi::Object exports) {
  const auto define = [&](const char* name, auto body) {
    exports.Set(name, Napi::Function::New(env, body, name));
  };
  define("deviceCounts", counts);
  define("deviceFaults", faults);
  define("failAllocation", set_number<&Control::fail_allocation>);
  define("limitMemory", set_number<&Control::limit_memory>);
  define("failOperation", set_number<&Control::fail_operation>);
  define("recoverDevice", recover);
  define("plantFault", plant);
}

}  // namespace mactok
