// The addon that loads without LibTorch: it opens LibTorch's libraries by path, so that the addon
// proper, which has no path to them, finds them by name. lib/native/load.ts decides what to open.

#include <napi.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "os/crc32c.h"
#include "os/file.h"
#include "os/loaded_libraries.h"
#include "os/open_library.h"

namespace {

/**
 * Makes threads spin for about 100 µs while they wait for the next loop, instead of libgomp's
 * milliseconds, unless the environment says otherwise: as fast on idle cores, and several times as
 * fast beside other programs, because spinning threads keep cores from them. libgomp reads the
 * variable when it is loaded; child processes do not inherit it.
 */
class SpinCount {
 public:
#ifdef __linux__
  SpinCount() {
    if (getenv("OMP_WAIT_POLICY") || getenv("GOMP_SPINCOUNT")) return;
    set_ = setenv("GOMP_SPINCOUNT", "10000", 0) == 0;
  }
  ~SpinCount() {
    if (set_) unsetenv("GOMP_SPINCOUNT");
  }
  SpinCount(const SpinCount&) = delete;
  SpinCount& operator=(const SpinCount&) = delete;

 private:
  bool set_ = false;
#endif
};

Napi::Value open(const Napi::CallbackInfo& info) {
  [[maybe_unused]] const SpinCount spin;
  const std::string problem = mactok::open_library(info[0].As<Napi::String>().Utf8Value());
  if (!problem.empty()) throw Napi::Error::New(info.Env(), problem);
  return info.Env().Undefined();
}

Napi::Value loaded(const Napi::CallbackInfo& info) {
  const auto paths = mactok::loaded_libraries();
  auto result = Napi::Array::New(info.Env(), paths.size());
  for (uint32_t i = 0; i < paths.size(); ++i) result[i] = paths[i];
  return result;
}

Napi::Value crc32c(const Napi::CallbackInfo& info) {
  const auto bytes = info[0].As<Napi::Uint8Array>();
  const uint32_t before = info[1].As<Napi::Number>().Uint32Value();
  return Napi::Number::New(info.Env(), mactok::crc32c(before, bytes.Data(), bytes.ByteLength()));
}

Napi::Value join_crc32c(const Napi::CallbackInfo& info) {
  const auto number = [&info](int i) { return info[i].As<Napi::Number>(); };
  return Napi::Number::New(info.Env(),
                           mactok::join_crc32c(number(0).Uint32Value(), number(1).Uint32Value(),
                                               static_cast<uint64_t>(number(2).Int64Value())));
}

/** Reads a file on libuv's thread pool and computes its checksum. */
class ChecksumWorker final : public Napi::AsyncWorker {
 public:
  ChecksumWorker(Napi::Env env, std::string path)
      : Napi::AsyncWorker(env, "mactok.checksum"),
        deferred_(Napi::Promise::Deferred::New(env)),
        path_(std::move(path)) {}

  Napi::Promise promise() const { return deferred_.Promise(); }

 private:
  void Execute() override {
    const mactok::File file(path_);
    std::vector<uint8_t> bytes(1 << 20);
    for (int64_t offset = 0; offset < file.size();) {
      const auto size = std::min(file.size() - offset, static_cast<int64_t>(bytes.size()));
      file.read(bytes.data(), size, offset);
      crc_ = mactok::crc32c(crc_, bytes.data(), static_cast<size_t>(size));
      offset += size;
    }
  }
  void OnOK() override { deferred_.Resolve(Napi::Number::New(Env(), crc_)); }
  void OnError(const Napi::Error& error) override { deferred_.Reject(error.Value()); }

  Napi::Promise::Deferred deferred_;
  std::string path_;
  uint32_t crc_ = 0;
};

Napi::Value file_crc32c(const Napi::CallbackInfo& info) {
  auto worker =
      std::make_unique<ChecksumWorker>(info.Env(), info[0].As<Napi::String>().Utf8Value());
  const auto promise = worker->promise();
  // node-addon-api deletes it once its promise has settled.
  worker.release()->Queue();
  return promise;
}

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  exports.Set("builtAgainst", MACTOK_LIBTORCH_VERSION);
  exports.Set("open", Napi::Function::New(env, open, "open"));
  exports.Set("crc32c", Napi::Function::New(env, crc32c, "crc32c"));
  exports.Set("joinCrc32c", Napi::Function::New(env, join_crc32c, "joinCrc32c"));
  exports.Set("fileCrc32c", Napi::Function::New(env, file_crc32c, "fileCrc32c"));
  exports.Set("loaded", Napi::Function::New(env, loaded, "loaded"));
  return exports;
}

}  // namespace

NODE_API_MODULE(NODE_GYP_MODULE_NAME, initialize)
