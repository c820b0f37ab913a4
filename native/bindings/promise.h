#pragma once

#include <exception>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

#include "bindings/environment.h"
#include "runtime/errors.h"

namespace mactok {

/** Converts a C++ exception to a JavaScript `Error` with a `code`. */
inline Napi::Error to_error(Napi::Env env, const std::exception_ptr& exception) {
  const auto report = describe(exception);
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
    throw to_error(env, std::current_exception());
  }
}

/**
 * Runs `work` on the device's engine, without gradients unless it enables them, and returns a
 * promise of its result, which `convert` turns into a JavaScript value on the JavaScript thread.
 * `work` and `convert` own what they need; JavaScript values never leave their thread.
 */
template <typename Work, typename Convert>
Napi::Value run(Napi::Env env, at::Device device, Work work, Convert convert) {
  using Returned = std::invoke_result_t<Work>;
  using Result = std::conditional_t<std::is_void_v<Returned>, std::monostate, Returned>;

  struct Task final : Completion {
    Task(Napi::Env env, Convert convert)
        : deferred(Napi::Promise::Deferred::New(env)), convert(std::move(convert)) {}

    void complete(Napi::Env env) override {
      if (error) return deferred.Reject(to_error(env, error).Value());
      try {
        deferred.Resolve(convert(env, *result));
      } catch (const Napi::Error& thrown) {
        deferred.Reject(thrown.Value());
      }
    }

    Napi::Promise::Deferred deferred;
    Convert convert;
    std::optional<Result> result;
    std::exception_ptr error;
  };

  auto& environment = Environment::of(env);
  auto task =
      std::make_shared<std::unique_ptr<Task>>(std::make_unique<Task>(env, std::move(convert)));
  const auto promise = (*task)->deferred.Promise();
  environment.submit(env, device, [&environment, task, work = std::move(work)]() mutable {
    try {
      const at::NoGradGuard no_grad;
      if constexpr (std::is_void_v<Returned>) {
        work();
        (*task)->result.emplace();
      } else {
        (*task)->result.emplace(work());
      }
    } catch (...) {
      (*task)->error = std::current_exception();
    }
    environment.post(std::move(*task));
  });
  return promise;
}

/** The `convert` of jobs without a result. */
inline Napi::Value to_undefined(Napi::Env env, const std::monostate&) { return env.Undefined(); }

}  // namespace mactok
