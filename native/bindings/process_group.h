#pragma once

#include <napi.h>

#include <memory>
#include <string>

#include "distributed/process_group.h"
#include "runtime/engine.h"

namespace mactok {

/** NativeProcessGroup in lib/native/types/system.ts. */
class ProcessGroupHandle : public Napi::ObjectWrap<ProcessGroupHandle> {
 public:
  static constexpr const char* kClass = "ProcessGroup";

  static void define(Napi::Env env, Napi::Object exports);

  /** The group of an argument; null where it is null or undefined. */
  static std::shared_ptr<ProcessGroup> find(const Napi::Value& value, const std::string& name);

  explicit ProcessGroupHandle(const Napi::CallbackInfo& info);

  /** A group, and the thread on which JavaScript waits for its other ranks. */
  struct Opened {
    std::shared_ptr<ProcessGroup> group;
    std::shared_ptr<Engine> waiting;
  };

 private:
  Napi::Value agree(const Napi::CallbackInfo& info);
  Napi::Value gather(const Napi::CallbackInfo& info);
  Napi::Value fail(const Napi::CallbackInfo& info);
  Napi::Value leave(const Napi::CallbackInfo& info);
  void set_busy(const Napi::CallbackInfo& info);

  Opened opened_;
};

}  // namespace mactok
