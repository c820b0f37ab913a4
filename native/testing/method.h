#pragma once

#include <napi.h>

#include "bindings/environment.h"

namespace mactok {

/** Adds a method to one of the addon's classes; the body finds its handle in `info.This()`. */
inline void add_method(Napi::Env env, const char* class_name, const char* name,
                       Napi::Value (*body)(const Napi::CallbackInfo&)) {
  const auto prototype = Environment::of(env).constructor(class_name).Get("prototype");
  prototype.As<Napi::Object>().Set(name, Napi::Function::New(env, body, name));
}

}  // namespace mactok
