#pragma once

#include <napi.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bindings/convert.h"
#include "bindings/module.h"
#include "bindings/promise.h"

namespace mactok {

/**
 * What the JavaScript handles of all networks share: `device`, `state`, `load` and `dispose`
 * (NativeModule in lib/native/types/tensor.ts). `Self::kClass` is the handle's name,
 * `Self::kWhat` the network's.
 */
template <typename Self, typename Model>
class ModelHandle : public Napi::ObjectWrap<Self> {
 public:
  using Pointer = std::shared_ptr<Model>;

  static Napi::Value wrap(Napi::Env env, const Pointer& model) {
    auto shared = model;
    return Environment::of(env)
        .constructor(Self::kClass)
        .New({Napi::External<Pointer>::New(env, &shared)});
  }

  /**
   * The network of an argument. Throws a TypeError that names the parameter where it is another
   * value or disposed.
   */
  static Pointer unwrap(const Napi::Value& value, const std::string& name) {
    if (!value.IsObject() || !value.As<Napi::Object>().InstanceOf(
                                 Environment::of(value.Env()).constructor(Self::kClass))) {
      convert::invalid(value.Env(), name, std::string("a ") + Self::kWhat);
    }
    return Self::Unwrap(value.As<Napi::Object>())->alive(value.Env());
  }

  explicit ModelHandle(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Self>(info) {
    if (!info[0].IsExternal()) convert::invalid(info.Env(), "model", "a model made by the addon");
    model_ = *info[0].As<Napi::External<Pointer>>().Data();
    bytes_ = std::make_unique<ModelBytes>(info.Env(), *model_);
  }

  Napi::Value device(const Napi::CallbackInfo& info) {
    return Napi::String::New(info.Env(), module_device(*alive(info.Env())).str());
  }
  Napi::Value state(const Napi::CallbackInfo& info) {
    return to_state(info.Env(), named_tensors(*alive(info.Env())));
  }
  Napi::Value load(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] {
      const Model& model = *alive(info.Env());
      auto assign = assignment(named_tensors(model), from_state(info[0], "state"), Self::kWhat);
      return run(info.Env(), module_device(model), std::move(assign), to_undefined);
    });
  }
  /** Frees the memory once the engine has run what is queued. */
  void dispose(const Napi::CallbackInfo& info) {
    bytes_.reset();
    if (!model_) return;
    const auto device = module_device(*model_);
    release(info.Env(), device, std::exchange(model_, nullptr));
  }

 protected:
  using Properties = std::vector<Napi::ClassPropertyDescriptor<Self>>;

  static void define_class(Napi::Env env, Properties own) {
    own.insert(own.end(), {
                              Self::InstanceAccessor("device", &Self::device, nullptr),
                              Self::InstanceMethod("state", &Self::state),
                              Self::InstanceMethod("load", &Self::load),
                              Self::InstanceMethod("dispose", &Self::dispose),
                          });
    Environment::of(env).define(Self::kClass, Self::DefineClass(env, Self::kClass, own));
  }

  const Pointer& alive(Napi::Env env) const {
    if (!model_)
      throw Napi::TypeError::New(env, std::string("This ") + Self::kWhat + " is disposed");
    return model_;
  }

 private:
  Pointer model_;
  std::unique_ptr<ModelBytes> bytes_;
};

}  // namespace mactok
