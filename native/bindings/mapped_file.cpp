#include "bindings/mapped_file.h"

#include "bindings/convert.h"
#include "bindings/promise.h"
#include "bindings/tensor.h"

namespace mactok {
namespace {

constexpr const char* kClass = "MappedFile";

/**
 * Copies on libuv's thread pool: reading a page from disk must stall neither JavaScript nor the
 * engine.
 */
class GatherWorker final : public Napi::AsyncWorker {
 public:
  GatherWorker(Napi::Env env, std::shared_ptr<MappedFile> file,
               std::vector<MappedFile::Copy> copies, int64_t length, Napi::Uint8Array destination)
      : Napi::AsyncWorker(env, "mactok.gather"),
        deferred_(Napi::Promise::Deferred::New(env)),
        held_(Napi::Persistent(destination.As<Napi::Object>())),
        file_(std::move(file)),
        copies_(std::move(copies)),
        length_(length),
        destination_(destination.Data()) {}

  Napi::Promise promise() const { return deferred_.Promise(); }

 private:
  void Execute() override { file_->gather(copies_, length_, destination_); }
  void OnOK() override { deferred_.Resolve(Env().Undefined()); }
  void OnError(const Napi::Error& error) override { deferred_.Reject(error.Value()); }

  Napi::Promise::Deferred deferred_;
  Napi::ObjectReference held_;
  std::shared_ptr<MappedFile> file_;
  std::vector<MappedFile::Copy> copies_;
  int64_t length_;
  uint8_t* destination_;
};

}  // namespace

void MappedFileHandle::define(Napi::Env env, Napi::Object exports) {
  Environment::of(env).define(kClass,
                              DefineClass(env, kClass,
                                          {
                                              InstanceAccessor<&MappedFileHandle::size>("size"),
                                              InstanceMethod<&MappedFileHandle::tensor>("tensor"),
                                              InstanceMethod<&MappedFileHandle::gather>("gather"),
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
    const auto offset = convert::integer(info[0], "offset");
    const auto dtype = convert::dtype(info[1], "dtype");
    // Before the file: an element's getter may close that.
    const auto shape = convert::shape(info[2], "shape");
    return TensorHandle::wrap(info.Env(), alive(info.Env()).tensor(offset, dtype, shape));
  });
}

Napi::Value MappedFileHandle::gather(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto offsets = convert::shape(info[0], "offsets");
    const auto positions = convert::shape(info[1], "positions");
    const auto length = convert::integer(info[2], "length");
    if (!info[3].IsTypedArray() ||
        info[3].As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) {
      convert::invalid(info.Env(), "destination", "a Uint8Array");
    }
    if (positions.size() != offsets.size()) {
      convert::invalid(info.Env(), "positions", "as many as offsets");
    }
    const auto destination = info[3].As<Napi::Uint8Array>();
    std::vector<MappedFile::Copy> copies;
    for (size_t i = 0; i < offsets.size(); ++i) copies.push_back({offsets[i], positions[i]});
    alive(info.Env()).check(copies, length, static_cast<int64_t>(destination.ByteLength()));
    auto worker =
        std::make_unique<GatherWorker>(info.Env(), file_, std::move(copies), length, destination);
    const auto promise = worker->promise();
    // node-addon-api deletes it once its promise has settled.
    worker.release()->Queue();
    return promise;
  });
}

void MappedFileHandle::close(const Napi::CallbackInfo&) { file_.reset(); }

}  // namespace mactok
