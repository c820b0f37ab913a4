#include "bindings/masking.h"

#include "bindings/choice.h"
#include "bindings/convert.h"
#include "bindings/promise.h"
#include "bindings/tensor.h"
#include "runtime/cuda_library.h"

namespace mactok {
namespace {

Napi::Value create_mask(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto options = mask_options(info[0], "masking");
    const auto scores = TensorHandle::unwrap_optional(info[1], "scores");
    const auto seed = convert::index(info[2], "seed");
    const auto step = convert::index(info[3], "step");
    const auto first_index = convert::index(info[4], "firstIndex");
    const auto batch = convert::count(info[5], "batch", 1);
    const auto patches = convert::count(info[6], "patches", 1);
    const auto device = scores.defined() ? scores.device() : at::Device(at::kCPU);
    return run(
        info.Env(), device,
        [=] {
          auto draws =
              draw_mask(options, {seed, step, first_index, batch}, patches, scores.defined());
          upload_all(draws.tensors(), device);
          return image_mask(options, scores, draws).to(at::kByte);
        },
        [](Napi::Env env, const at::Tensor& mask) { return TensorHandle::wrap(env, mask); });
  });
}

}  // namespace

MaskOptions mask_options(const Napi::Value& value, const std::string& name) {
  const auto config = convert::object(value, name);
  const auto number = [&](const char* key) {
    return convert::number(config.Get(key), name + "." + key);
  };
  return {
      .target = choice<MaskTarget>(config.Get("target"), name + ".target",
                                   {{"image", MaskTarget::image},
                                    {"latent", MaskTarget::latent},
                                    {"none", MaskTarget::none}}),
      .min_ratio = number("minRatio"),
      .max_ratio = number("maxRatio"),
      .semantic = number("semantic"),
      .per = choice<MaskUnit>(config.Get("per"), name + ".per",
                              {{"image", MaskUnit::image}, {"batch", MaskUnit::batch}}),
  };
}

void define_mask_functions(Napi::Env env, Napi::Object exports) {
  exports.Set("imageMask", Napi::Function::New(env, create_mask, "imageMask"));
}

}  // namespace mactok
