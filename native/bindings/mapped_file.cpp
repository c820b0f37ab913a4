#include "bindings/mapped_file.h"

#include "bindings/convert.h"
#include "bindings/promise.h"
#include "bindings/tensor.h"

namespace mactok {
namespace {

constexpr const char* kClass = "MappedFile";

}  // namespace

void MappedFileHandle::define(Napi::Env env, Napi::Object exports) {
  Environment::of(env).define(kClass,
                              DefineClass(env, kClass,
                                          {
                                              InstanceAccessor<&MappedFileHandle::size>("size"),
                                              InstanceMethod<&MappedFileHandle::tensor>("tensor"),
                                              InstanceMethod<&MappedFileHandle::close>("close"),
                                          }));
  exports.Set("mapFile",
              Napi::Function::New(env, [](const Napi::CallbackInfo& info) -> Napi::Value {
                return Environment::of(info.Env()).constructor(kClass).New({info[0]});
              }));
}

MappedFileHandle::MappedFileHandle(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<MappedFileHandle>(info) {
  const auto path = convert::string(info[0], "path");
  file_ = guarded(info.Env(), [&path] { return MappedFile::open(path); });
}

MappedFile& MappedFileHandle::alive(Napi::Env env) const {
  if (!file_) throw Napi::TypeError::New(env, "This file is closed");
  return *file_;
}

Napi::Value MappedFileHandle::size(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(alive(info.Env()).size()));
}

Napi::Value MappedFileHandle::tensor(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    return TensorHandle::wrap(info.Env(), alive(info.Env())
                                              .tensor(convert::integer(info[0], "offset"),
                                                      convert::dtype(info[1], "dtype"),
                                                      convert::shape(info[2], "shape")));
  });
}

void MappedFileHandle::close(const Napi::CallbackInfo&) { file_.reset(); }

}  // namespace mactok
