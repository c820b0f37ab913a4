#include "bindings/process_group.h"

#include <atomic>
#include <chrono>
#include <cstring>
#include <utility>
#include <vector>

#include "bindings/convert.h"
#include "bindings/promise.h"
#include "runtime/device.h"

namespace mactok {
namespace {

template <typename Work, typename Convert>
Napi::Value run_waiting(Napi::Env env, const std::shared_ptr<Engine>& engine, Work work,
                        Convert convert) {
  const auto submit = [&](Environment& environment, Engine::Job job) {
    environment.submit(env, engine, std::move(job));
  };
  return run_by(env, at::kCPU, submit, std::move(work), std::move(convert));
}

ProcessGroupOptions group_options(const Napi::Value& value) {
  const auto options = convert::object(value, "options");
  const auto number = [&](const char* key, int64_t least) {
    return convert::count(options.Get(key), key, least);
  };
  const auto text = [&](const char* key) { return convert::string(options.Get(key), key); };
  return {.rank = static_cast<int>(number("rank", 0)),
          .size = static_cast<int>(number("size", 1)),
          .file = text("file"),
          .host = text("host"),
          .port = static_cast<uint16_t>(number("port", 0)),
          .holds_store = convert::boolean(options.Get("holdsStore"), "holdsStore"),
          .outlives = convert::boolean(options.Get("outlives"), "outlives"),
          .prefix = text("prefix"),
          .timeout = std::chrono::milliseconds(number("timeout", 1)),
          .device = parse_device(text("device")),
          .interrupted = std::make_shared<std::atomic<bool>>(false)};
}

Napi::Value open(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto options = group_options(info[0]);
    const auto waiting = std::make_shared<Engine>(at::kCPU, /*computes=*/false);
    Environment::of(info.Env()).on_close([flag = options.interrupted] { *flag = true; });
    return run_waiting(
        info.Env(), waiting, [options] { return std::make_shared<ProcessGroup>(options); },
        [waiting](Napi::Env env, const std::shared_ptr<ProcessGroup>& group) -> Napi::Value {
          ProcessGroupHandle::Opened opened{group, waiting};
          return Environment::of(env)
              .constructor(ProcessGroupHandle::kClass)
              .New({Napi::External<ProcessGroupHandle::Opened>::New(env, &opened)});
        });
  });
}

}  // namespace

void ProcessGroupHandle::define(Napi::Env env, Napi::Object exports) {
  Environment::of(env).define(
      kClass, DefineClass(env, kClass,
                          {InstanceMethod<&ProcessGroupHandle::agree>("agree"),
                           InstanceMethod<&ProcessGroupHandle::gather>("gather"),
                           InstanceMethod<&ProcessGroupHandle::fail>("fail"),
                           InstanceMethod<&ProcessGroupHandle::leave>("leave"),
                           InstanceMethod<&ProcessGroupHandle::set_busy>("setBusy")}));
  exports.Set("openProcessGroup", Napi::Function::New(env, open, "openProcessGroup"));
}

ProcessGroupHandle::ProcessGroupHandle(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<ProcessGroupHandle>(info) {
  if (!info[0].IsExternal()) convert::invalid(info.Env(), "group", "a group made by the addon");
  opened_ = *info[0].As<Napi::External<Opened>>().Data();
}

std::shared_ptr<ProcessGroup> ProcessGroupHandle::find(const Napi::Value& value,
                                                       const std::string& name) {
  if (value.IsUndefined() || value.IsNull()) return nullptr;
  if (!value.IsObject() ||
      !value.As<Napi::Object>().InstanceOf(Environment::of(value.Env()).constructor(kClass))) {
    convert::invalid(value.Env(), name, "a process group");
  }
  return Unwrap(value.As<Napi::Object>())->opened_.group;
}

Napi::Value ProcessGroupHandle::agree(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto values = convert::array(info[0], "values");
    std::vector<double> own;
    for (uint32_t i = 0; i < values.Length(); ++i) {
      own.push_back(convert::number(values.Get(i), "values"));
    }
    return run_waiting(
        info.Env(), opened_.waiting,
        [group = opened_.group, own] {
          const auto tensor = at::tensor(own, at::kDouble);
          group->max(tensor, Channel::control);
          return std::vector<double>(tensor.data_ptr<double>(),
                                     tensor.data_ptr<double>() + tensor.numel());
        },
        [](Napi::Env env, const std::vector<double>& agreed) -> Napi::Value {
          auto result = Napi::Array::New(env, agreed.size());
          for (uint32_t i = 0; i < agreed.size(); ++i) result.Set(i, agreed[i]);
          return result;
        });
  });
}

Napi::Value ProcessGroupHandle::gather(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    if (!info[0].IsTypedArray()) convert::invalid(info.Env(), "bytes", "a typed array");
    const auto view = info[0].As<Napi::TypedArray>();
    const auto own = at::empty({static_cast<int64_t>(view.ByteLength())}, at::kByte);
    const auto* bytes = static_cast<const uint8_t*>(view.ArrayBuffer().Data()) + view.ByteOffset();
    if (own.nbytes() > 0) std::memcpy(own.data_ptr(), bytes, own.nbytes());
    return run_waiting(
        info.Env(), opened_.waiting, [group = opened_.group, own] { return group->gather(own); },
        [](Napi::Env env, const std::optional<std::vector<at::Tensor>>& gathered) -> Napi::Value {
          if (!gathered) return env.Null();
          auto result = Napi::Array::New(env);
          for (const auto& bytes : *gathered) {
            auto message = Napi::Uint8Array::New(env, bytes.nbytes());
            if (bytes.nbytes() > 0) std::memcpy(message.Data(), bytes.data_ptr(), bytes.nbytes());
            result.Set(result.Length(), message);
          }
          return result;
        });
  });
}

Napi::Value ProcessGroupHandle::fail(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto reason = convert::string(info[0], "reason");
    return run_waiting(
        info.Env(), opened_.waiting, [group = opened_.group, reason] { group->fail(reason); },
        to_undefined);
  });
}

Napi::Value ProcessGroupHandle::leave(const Napi::CallbackInfo& info) {
  return run_waiting(
      info.Env(), opened_.waiting, [group = opened_.group] { group->leave(); }, to_undefined);
}

void ProcessGroupHandle::set_busy(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] { opened_.group->set_busy(convert::boolean(info[0], "isBusy")); });
}

}  // namespace mactok
