#include "bindings/info.h"

#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <torch/version.h>

#include <string>

#include "bindings/convert.h"
#include "bindings/environment.h"
#include "bindings/promise.h"
#include "runtime/cuda_library.h"
#include "runtime/device.h"

namespace mactok {
namespace {

/** Whether the CPU multiplies bfloat16 in hardware; without that, bf16 is slower than fp32. */
bool has_bf16_instructions() {
#if defined(__x86_64__) && defined(__GNUC__)
  return __builtin_cpu_supports("avx512bf16") != 0;
#else
  return false;
#endif
}

/** Capabilities of the devices, and why libmactok_cuda is not loaded: a failure must not hide the rest. */
void describe_cuda(Napi::Env env, const CudaStatus& status, Napi::Object cuda) {
  auto capabilities = Napi::Array::New(env);
  std::string problem;
  try {
    if (status.devices > 0) problem = cuda_library_problem();
    for (int64_t i = 0; i < status.devices; ++i) {
      capabilities.Set(static_cast<uint32_t>(i),
                       compute_capability(static_cast<c10::DeviceIndex>(i)));
    }
  } catch (const c10::Error& error) {
    problem = error.what_without_backtrace();
  } catch (const std::exception& error) {
    problem = error.what();
  }
  cuda.Set("capabilities", capabilities);
  cuda.Set("libraryProblem", problem);
}

Napi::Value get_info(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto status = cuda_status();
  auto cuda = Napi::Object::New(env);
  cuda.Set("available", status.devices > 0);
  cuda.Set("devices", static_cast<double>(status.devices));
  cuda.Set("reason", status.reason);
  describe_cuda(env, status, cuda);
  const auto mps_missing = mps_problem();
  auto mps = Napi::Object::New(env);
  mps.Set("available", mps_missing.empty());
  mps.Set("reason", mps_missing);
  auto result = Napi::Object::New(env);
  result.Set("builtAgainst", TORCH_VERSION);
  result.Set("cpuCapability", at::get_cpu_capability());
  result.Set("threads", Environment::of(env).threads.load());
  result.Set("cpuBf16", has_bf16_instructions());
  result.Set("cuda", cuda);
  result.Set("mps", mps);
  return result;
}

void set_threads(const Napi::CallbackInfo& info) {
  const auto count = convert::integer(info[0], "count");
  if (count < 1 || count > 1024) convert::invalid(info.Env(), "count", "1 to 1024 threads");
  Environment::of(info.Env()).threads = static_cast<int>(count);
}

Napi::Value get_memory(const Napi::CallbackInfo& info) {
  const auto& environment = Environment::of(info.Env());
  auto result = Napi::Object::New(info.Env());
  result.Set("tensors", static_cast<double>(environment.tensors()));
  result.Set("bytes", static_cast<double>(environment.bytes()));
  result.Set("modelBytes", static_cast<double>(environment.model_bytes()));
  return result;
}

Napi::Value get_device_memory(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto device = parse_device(convert::string(info[0], "device"));
    return run(
        info.Env(), device, [device] { return device_memory(device); },
        [](Napi::Env env, const std::optional<CudaMemory>& memory) -> Napi::Value {
          if (!memory) return env.Null();
          auto result = Napi::Object::New(env);
          result.Set("allocated", static_cast<double>(memory->allocated));
          result.Set("peak", static_cast<double>(memory->peak_allocated));
          result.Set("reserved", static_cast<double>(memory->reserved));
          result.Set("free", static_cast<double>(memory->free));
          result.Set("total", static_cast<double>(memory->total));
          return result;
        });
  });
}

}  // namespace

void define_info_functions(Napi::Env env, Napi::Object exports) {
  exports.Set("info", Napi::Function::New(env, get_info, "info"));
  exports.Set("setThreads", Napi::Function::New(env, set_threads, "setThreads"));
  exports.Set("memory", Napi::Function::New(env, get_memory, "memory"));
  exports.Set("deviceMemory", Napi::Function::New(env, get_device_memory, "deviceMemory"));
}

}  // namespace mactok
