#pragma once

#include <napi.h>

#include <memory>

#include "files/mapped_file.h"

namespace mactok {

/** NativeMappedFile in lib/native/types/files.ts. */
class MappedFileHandle : public Napi::ObjectWrap<MappedFileHandle> {
 public:
  static void define(Napi::Env env, Napi::Object exports);
  explicit MappedFileHandle(const Napi::CallbackInfo& info);

 private:
  Napi::Value size(const Napi::CallbackInfo& info);
  Napi::Value tensor(const Napi::CallbackInfo& info);
  Napi::Value gather(const Napi::CallbackInfo& info);
  void close(const Napi::CallbackInfo& info);

  MappedFile& alive(Napi::Env env) const;

  std::shared_ptr<MappedFile> file_;
};

}  // namespace mactok
