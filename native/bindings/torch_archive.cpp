#include "bindings/torch_archive.h"

#include "bindings/convert.h"
#include "bindings/promise.h"
#include "files/torch_archive.h"

namespace mactok {
namespace {

Napi::Value to_object(Napi::Env env, const TorchArchive& archive) {
  auto records = Napi::Array::New(env, archive.records.size());
  for (size_t i = 0; i < archive.records.size(); ++i) {
    const auto& [name, offset, size] = archive.records[i];
    auto record = Napi::Object::New(env);
    record.Set("name", name);
    record.Set("offset", static_cast<double>(offset));
    record.Set("size", static_cast<double>(size));
    records.Set(static_cast<uint32_t>(i), record);
  }
  auto result = Napi::Object::New(env);
  result.Set("records", records);
  const auto* bytes = reinterpret_cast<const uint8_t*>(archive.pickle.data());
  result.Set("pickle", Napi::Buffer<uint8_t>::Copy(env, bytes, archive.pickle.size()));
  return result;
}

Napi::Value read(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto path = convert::string(info[0], "path");
    const auto max_pickle = convert::integer(info[1], "maxPickle");
    return run(
        info.Env(), at::kCPU, [=] { return read_torch_archive(path, max_pickle); }, to_object);
  });
}

}  // namespace

void define_torch_archive_functions(Napi::Env env, Napi::Object exports) {
  exports.Set("readTorchArchive", Napi::Function::New(env, read, "readTorchArchive"));
}

}  // namespace mactok
