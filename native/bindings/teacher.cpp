#include "bindings/teacher.h"

#include "bindings/tensor.h"
#include "nn/network_images.h"
#include "runtime/device.h"

namespace mactok {
namespace {

Napi::Value create(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto config = convert::object(info[0], "config");
    const auto patch = convert::count(config.Get("patchSize"), "patchSize", 1);
    const auto input = convert::count(config.Get("inputSize"), "inputSize", 1);
    if (input % patch != 0) {
      convert::invalid(info.Env(), "patchSize", "a divisor of inputSize");
    }
    const auto options = vit_options(config.Get("vit"), "vit", patch, input / patch);
    const auto device = parse_device(convert::string(info[1], "device"));
    return run(
        info.Env(), device,
        [=] {
          auto teacher = std::make_shared<Teacher>(options);
          teacher->to(device);
          for (auto& parameter : teacher->parameters()) parameter.set_requires_grad(false);
          return teacher;
        },
        [](Napi::Env env, const std::shared_ptr<Teacher>& teacher) {
          return TeacherHandle::wrap(env, teacher);
        });
  });
}

}  // namespace

void TeacherHandle::define(Napi::Env env, Napi::Object exports) {
  define_class(env, {
                        InstanceMethod<&TeacherHandle::features>("features"),
                        InstanceMethod<&TeacherHandle::similarity>("similarity"),
                    });
  exports.Set("createTeacher", Napi::Function::New(env, create, "createTeacher"));
}

Napi::Value TeacherHandle::features(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto teacher = alive(info.Env());
    const auto device = module_device(*teacher);
    const auto images = TensorHandle::unwrap(info[0], "images");
    const auto precision = convert::precision(info[1], "precision");
    return run(
        info.Env(), device,
        [=] {
          const Autocast autocast(device.type(), precision);
          const auto features = teacher->features(to_network_images(images, device));
          return Features{.cls = own_memory(features.cls), .patches = own_memory(features.patches)};
        },
        [](Napi::Env env, const Features& features) -> Napi::Value {
          auto result = Napi::Object::New(env);
          result.Set("cls", TensorHandle::wrap(env, features.cls));
          result.Set("patches", TensorHandle::wrap(env, features.patches));
          return result;
        });
  });
}

Napi::Value TeacherHandle::similarity(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto teacher = alive(info.Env());
    const auto device = module_device(*teacher);
    const auto images = TensorHandle::unwrap(info[0], "images");
    const auto grid = convert::count(info[1], "grid", 1);
    const auto precision = convert::precision(info[2], "precision");
    return run(
        info.Env(), device,
        [=] {
          const Autocast autocast(device.type(), precision);
          return semantic_scores(teacher->features(to_network_images(images, device)), grid);
        },
        [](Napi::Env env, const at::Tensor& scores) { return TensorHandle::wrap(env, scores); });
  });
}

}  // namespace mactok
