#include "bindings/image.h"

#include <memory>
#include <string>

#include "bindings/choice.h"
#include "bindings/convert.h"
#include "image/resample.h"

namespace mactok {
namespace {

/**
 * Resamples on libuv's thread pool, which also decodes, and leaves the engine's thread to LibTorch.
 */
class ResampleWorker final : public Napi::AsyncWorker {
 public:
  ResampleWorker(Napi::Env env, Napi::Uint8Array source, int64_t width, int64_t height,
                 const image::Resample& target, Napi::Uint8Array destination)
      : Napi::AsyncWorker(env, "mactok.resample"),
        deferred_(Napi::Promise::Deferred::New(env)),
        held_source_(Napi::Persistent(source.As<Napi::Object>())),
        held_destination_(Napi::Persistent(destination.As<Napi::Object>())),
        source_(source.Data()),
        width_(width),
        height_(height),
        target_(target),
        destination_(destination.Data()) {}

  Napi::Promise promise() const { return deferred_.Promise(); }

 private:
  void Execute() override { image::resample(source_, width_, height_, target_, destination_); }
  void OnOK() override { deferred_.Resolve(Env().Undefined()); }
  void OnError(const Napi::Error& error) override { deferred_.Reject(error.Value()); }

  Napi::Promise::Deferred deferred_;
  Napi::ObjectReference held_source_, held_destination_;
  const uint8_t* source_;
  int64_t width_, height_;
  image::Resample target_;
  uint8_t* destination_;
};

Napi::Uint8Array bytes(const Napi::Value& value, const std::string& name, int64_t length) {
  const bool matches = value.IsTypedArray() &&
                       value.As<Napi::TypedArray>().TypedArrayType() == napi_uint8_array &&
                       static_cast<int64_t>(value.As<Napi::TypedArray>().ByteLength()) == length;
  if (!matches) convert::invalid(value.Env(), name, "a Uint8Array of " + std::to_string(length));
  return value.As<Napi::Uint8Array>();
}

Napi::Value resample(const Napi::CallbackInfo& info) {
  const auto env = info.Env();
  const auto side = [&](const Napi::Value& value, const std::string& name) {
    const auto pixels = convert::integer(value, name);
    if (pixels < 1 || pixels > 1 << 30) convert::invalid(env, name, "1 to 2^30 pixels");
    return pixels;
  };
  const auto width = side(info[1], "width");
  const auto height = side(info[2], "height");
  const auto options = convert::object(info[3], "target");
  const image::Resample target{
      .filter =
          choice<image::Filter>(options.Get("filter"), "filter",
                                {{"box", image::Filter::box}, {"bicubic", image::Filter::bicubic}}),
      .width = side(options.Get("width"), "target.width"),
      .height = side(options.Get("height"), "target.height"),
      .left = convert::integer(options.Get("left"), "target.left"),
      .top = convert::integer(options.Get("top"), "target.top"),
      .window_width = side(options.Get("windowWidth"), "target.windowWidth"),
      .window_height = side(options.Get("windowHeight"), "target.windowHeight"),
      .mirror = convert::boolean(options.Get("mirror"), "target.mirror"),
  };
  if (target.left < 0 || target.top < 0 || target.left + target.window_width > target.width ||
      target.top + target.window_height > target.height) {
    convert::invalid(env, "target", "a window inside the scaled image");
  }
  // After everything else, because an option's getter may detach them.
  const auto source = bytes(info[0], "source", width * height * 3);
  const auto destination =
      bytes(info[4], "destination", target.window_width * target.window_height * 3);

  auto worker = std::make_unique<ResampleWorker>(env, source, width, height, target, destination);
  const auto promise = worker->promise();
  // node-addon-api deletes it once its promise has settled.
  worker.release()->Queue();
  return promise;
}

}  // namespace

void define_image_functions(Napi::Env env, Napi::Object exports) {
  exports.Set("resample", Napi::Function::New(env, resample, "resample"));
}

}  // namespace mactok
