#pragma once

#include <napi.h>

#include "bindings/model_handle.h"
#include "models/teacher.h"

namespace mactok {

/** NativeTeacher in lib/native/types/tokenizer.ts. */
class TeacherHandle : public ModelHandle<TeacherHandle, Teacher> {
 public:
  static constexpr const char* kClass = "Teacher";
  static constexpr const char* kWhat = "teacher";

  static void define(Napi::Env env, Napi::Object exports);
  using ModelHandle::ModelHandle;

 private:
  Napi::Value features(const Napi::CallbackInfo& info);
  Napi::Value similarity(const Napi::CallbackInfo& info);
};

}  // namespace mactok
