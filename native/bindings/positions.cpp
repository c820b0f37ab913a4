#include "bindings/positions.h"

#include "bindings/convert.h"
#include "bindings/promise.h"
#include "bindings/tensor.h"
#include "nn/positions.h"

namespace mactok {
namespace {

std::array<int64_t, 2> grid(const Napi::Value& value, const std::string& name) {
  const auto sizes = convert::shape(value, name);
  if (sizes.size() != 2 || sizes[0] < 1 || sizes[1] < 1) {
    convert::invalid(value.Env(), name, "two positive sizes");
  }
  return {sizes[0], sizes[1]};
}

Napi::Value to_handle(Napi::Env env, const at::Tensor& tensor) {
  return TensorHandle::wrap(env, tensor);
}

Napi::Value positions(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto tensor = TensorHandle::unwrap(info[0], "positions");
    const auto prefix = convert::integer(info[1], "prefix");
    const auto from = grid(info[2], "from");
    const auto to = grid(info[3], "to");
    const int64_t patches = tensor.dim() == 3 ? tensor.size(1) - prefix : -1;
    // Not by the sizes' product, which may overflow.
    if (prefix < 0 || patches < 0 || patches % from[0] != 0 || patches / from[0] != from[1]) {
      convert::invalid(info.Env(), "positions", "shape [1, prefix + from[0]·from[1], D]");
    }
    return run(
        info.Env(), tensor.device(),
        [=] { return resample_positions(tensor.to(at::kFloat), prefix, from, to); }, to_handle);
  });
}

Napi::Value patch_kernel(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto tensor = TensorHandle::unwrap(info[0], "kernel");
    const auto patch = convert::integer(info[1], "patch");
    if (tensor.dim() != 4 || patch < 1) {
      convert::invalid(info.Env(), "kernel", "shape [D, 3, p, p] and a positive patch");
    }
    return run(
        info.Env(), tensor.device(),
        [=] { return resample_patch_kernel(tensor.to(at::kFloat), patch); }, to_handle);
  });
}

}  // namespace

void define_position_functions(Napi::Env env, Napi::Object exports) {
  exports.Set("resamplePositions", Napi::Function::New(env, positions, "resamplePositions"));
  exports.Set("resamplePatchKernel", Napi::Function::New(env, patch_kernel, "resamplePatchKernel"));
}

}  // namespace mactok
