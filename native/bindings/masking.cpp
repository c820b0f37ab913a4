#include "bindings/masking.h"

#include "bindings/convert.h"
#include "bindings/promise.h"
#include "bindings/tensor.h"
#include "runtime/cuda_library.h"

namespace mactok {
namespace {

Napi::Value make_mask(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto options = mask_options(info[0], "masking");
    const auto scores = TensorHandle::unwrap_optional(info[1], "scores");
    const auto seed = convert::index(info[2], "seed");
    const auto step = convert::index(info[3], "step");
    const auto first_index = convert::index(info[4], "firstIndex");
    const auto batch = convert::integer(info[5], "batch");
    const auto patches = convert::integer(info[6], "patches");
    if (batch < 1 || patches < 1)
      convert::invalid(info.Env(), "batch, patches", "positive integers");
    const auto device = scores.defined() ? scores.device() : at::Device(at::kCPU);
    return run(
        info.Env(), device,
        [=] {
          const auto draws =
              draw_mask(options, {seed, step, first_index, batch}, patches, scores.defined());
          return image_mask(options, scores, upload(draws, device)).to(at::kByte);
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
      .target = convert::string(config.Get("target"), name + ".target"),
      .min_ratio = number("minRatio"),
      .max_ratio = number("maxRatio"),
      .semantic = number("semantic"),
      .per_batch = convert::string(config.Get("per"), name + ".per") == "batch",
  };
}

void define_mask_functions(Napi::Env env, Napi::Object exports) {
  exports.Set("imageMask", Napi::Function::New(env, make_mask, "imageMask"));
}

}  // namespace mactok
