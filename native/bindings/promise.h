#pragma once

#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

#include "bindings/environment.h"
#include "runtime/cuda_library.h"
#include "runtime/errors.h"
#include "runtime/tf32.h"

namespace mactok {

/** Converts a C++ exception to a JavaScript `Error` with a `code`. */
inline Napi::Error to_error(Napi::Env env, const ErrorReport& report) {
  auto error = Napi::Error::New(env, report.message);
  error.Set("code", Napi::String::New(env, report.code));
  return error;
}

/** Runs a synchronous binding and converts its C++ exceptions to JavaScript ones. */
template <typename Body>
auto guarded(Napi::Env env, Body body) {
  try {
    return body();
  } catch (const Napi::Error&) {
    throw;
  } catch (...) {
    throw to_error(env, describe(std::current_exception()));
  }
}

/**
 * Runs `work` by `submit(job)`, on another thread, and returns a promise of its result, which
 * `convert` turns into a JavaScript value on the JavaScript thread. Errors are described for
 * `device`.
 */
template <typename Submit, typename Work, typename Convert>
Napi::Value run_by(Napi::Env env, at::Device device, Submit submit, Work work, Convert convert) {
  using Returned = std::invoke_result_t<Work>;
  using Result = std::conditional_t<std::is_void_v<Returned>, std::monostate, Returned>;

  struct Task final : Completion {
    Task(Napi::Env env, Convert convert)
        : deferred(Napi::Promise::Deferred::New(env)), convert(std::move(convert)) {}

    void complete(Napi::Env env) override {
      if (error) return deferred.Reject(to_error(env, *error).Value());
      try {
        deferred.Resolve(guarded(env, [&] { return convert(env, *result); }));
      } catch (const Napi::Error& thrown) {
        deferred.Reject(thrown.Value());
      }
    }

    Napi::Promise::Deferred deferred;
    Convert convert;
    std::optional<Result> result;
    std::optional<ErrorReport> error;
  };

  auto& environment = Environment::of(env);
  auto task =
      std::make_shared<std::unique_ptr<Task>>(std::make_unique<Task>(env, std::move(convert)));
  const auto promise = (*task)->deferred.Promise();
  submit(environment, [&environment, task, device, work = std::move(work)]() mutable {
    try {
      if constexpr (std::is_void_v<Returned>) {
        work();
        (*task)->result.emplace();
      } else {
        (*task)->result.emplace(work());
      }
    } catch (...) {
      (*task)->error = describe(std::current_exception(), device);
    }
    environment.post(std::move(*task));
  });
  return promise;
}

/**
 * Runs `work` on the device's engine, without gradients unless it enables them, and returns a
 * promise of its result, which `convert` turns into a JavaScript value on the JavaScript thread.
 * `work` and `convert` own what they need; JavaScript values never leave their thread.
 */
template <typename Work, typename Convert>
Napi::Value run(Napi::Env env, at::Device device, Work work, Convert convert) {
  const auto submit = [&](Environment& environment, Engine::Job job) {
    environment.submit(env, device, std::move(job));
  };
  // Not const: moved, so that only the job owns what it frees.
  auto on_engine = [device, work = std::move(work)]() mutable {
    // Within, because the first call of CUDA fails where the device is lost or another's alone.
    const c10::OptionalDeviceGuard on_device(device.is_cuda() ? std::optional(device)
                                                              : std::nullopt);
    // What opens no scope of its own multiplies in full float32.
    const Tf32 tf32(device.type(), /*allowed=*/false);
    const at::NoGradGuard no_grad;
    return work();
  };
  return run_by(env, device, submit, std::move(on_engine), std::move(convert));
}

/** The `convert` of jobs without a result. */
inline Napi::Value to_undefined(Napi::Env env, const std::monostate&) { return env.Undefined(); }

/** Nobody hears of the failure: an unhandled rejection would end the process. */
inline void ignore_rejection(const Napi::Value& promise) {
  const auto ignore = Napi::Function::New(promise.Env(), [](const Napi::CallbackInfo&) {});
  promise.As<Napi::Object>().Get("catch").As<Napi::Function>().Call(promise, {ignore});
}

/**
 * Frees what a disposed handle owned once the device's engine has run what is queued, and returns
 * the memory to the system and the driver, unless others own it too.
 */
template <typename Owned>
void release(Napi::Env env, at::Device device, std::shared_ptr<Owned> owned) {
  ignore_rejection(run(
      env, device,
      [device, owned = std::move(owned)]() mutable {
        const bool last = owned.use_count() == 1;
        owned.reset();
        if (!last) return;
        release_free_memory(at::kCPU);
        if (device.is_cuda()) release_free_memory(device);
      },
      to_undefined));
}

}  // namespace mactok
