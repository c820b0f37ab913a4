#include "bindings/inception.h"

#include "bindings/choice.h"
#include "bindings/tensor.h"
#include "nn/network_images.h"
#include "runtime/device.h"

namespace mactok {
namespace {

Napi::Value create(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto classes = convert::count(info[0], "classes", 0);
    const auto device = parse_device(convert::string(info[1], "device"));
    return run(
        info.Env(), device,
        [=] {
          auto inception = std::make_shared<Inception>(classes);
          inception->to(device);
          return inception;
        },
        [](Napi::Env env, const std::shared_ptr<Inception>& inception) {
          return InceptionHandle::wrap(env, inception);
        });
  });
}

InceptionInput input_kind(const Napi::Value& value, const std::string& name) {
  return choice<InceptionInput>(
      value, name,
      {{"pytorch", InceptionInput::pytorch}, {"tensorflow", InceptionInput::tensorflow}});
}

}  // namespace

void InceptionHandle::define(Napi::Env env, Napi::Object exports) {
  define_class(env, {InstanceMethod<&InceptionHandle::features>("features")});
  exports.Set("createInception", Napi::Function::New(env, create, "createInception"));
}

Napi::Value InceptionHandle::features(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto inception = alive(info.Env());
    const auto device = module_device(*inception);
    const auto images = TensorHandle::unwrap(info[0], "images");
    const auto input = input_kind(info[1], "input");
    const auto precision = convert::precision(info[2], "precision");
    return run(
        info.Env(), device,
        [=] {
          const Autocast autocast(device.type(), precision);
          return inception->forward(to_network_images(images, device), input);
        },
        [](Napi::Env env, const Inception::Output& output) -> Napi::Value {
          auto result = Napi::Object::New(env);
          result.Set("pool", TensorHandle::wrap(env, output.pool));
          result.Set("spatial", TensorHandle::wrap(env, output.spatial));
          result.Set("probabilities", output.probabilities.defined()
                                          ? TensorHandle::wrap(env, output.probabilities)
                                          : env.Null());
          return result;
        });
  });
}

}  // namespace mactok
