#include "bindings/tensor.h"

#include <cstring>

#include "bindings/convert.h"
#include "bindings/promise.h"
#include "kernels/check.h"
#include "runtime/cuda_library.h"
#include "runtime/device.h"
#include "runtime/float64.h"

namespace mactok {
namespace {

constexpr const char* kClass = "Tensor";

/**
 * Copies the bytes of a typed array at once, because JavaScript may change or detach its buffer
 * later.
 */
Napi::Value make_tensor(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    if (!info[0].IsTypedArray()) convert::invalid(info.Env(), "data", "a typed array");
    const auto view = info[0].As<Napi::TypedArray>();
    const auto type = convert::dtype(info[1], "dtype");
    const auto shape = convert::shape(info[2], "shape");
    const auto device = parse_device(convert::string(info[3], "device"));
    auto tensor = at::empty(shape, at::TensorOptions().dtype(type));
    if (tensor.nbytes() != view.ByteLength()) {
      throw Napi::RangeError::New(info.Env(), "Expected " + std::to_string(tensor.nbytes()) +
                                                  " bytes for data but received " +
                                                  std::to_string(view.ByteLength()));
    }
    const auto* bytes = static_cast<const uint8_t*>(view.ArrayBuffer().Data()) + view.ByteOffset();
    if (tensor.nbytes() > 0) std::memcpy(tensor.data_ptr(), bytes, tensor.nbytes());
    return TensorHandle::wrap(info.Env(), upload(tensor, device));
  });
}

}  // namespace

void TensorHandle::define(Napi::Env env) {
  Environment::of(env).define(kClass,
                              DefineClass(env, kClass,
                                          {
                                              InstanceAccessor<&TensorHandle::dtype>("dtype"),
                                              InstanceAccessor<&TensorHandle::shape>("shape"),
                                              InstanceAccessor<&TensorHandle::device>("device"),
                                              InstanceAccessor<&TensorHandle::disposed>("disposed"),
                                              InstanceMethod<&TensorHandle::read>("read"),
                                              InstanceMethod<&TensorHandle::to>("to"),
                                              InstanceMethod<&TensorHandle::slice>("slice"),
                                              InstanceMethod<&TensorHandle::reshape>("reshape"),
                                              InstanceMethod<&TensorHandle::affine>("affine"),
                                              InstanceMethod<&TensorHandle::is_finite>("isFinite"),
                                              InstanceMethod<&TensorHandle::check>("check"),
                                              InstanceMethod<&TensorHandle::dispose>("dispose"),
                                          }));
}

Napi::Value TensorHandle::wrap(Napi::Env env, const at::Tensor& tensor) {
  at::Tensor shared = tensor.detach();
  return Environment::of(env).constructor(kClass).New(
      {Napi::External<at::Tensor>::New(env, &shared)});
}

TensorHandle::TensorHandle(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<TensorHandle>(info), env_(info.Env()) {
  if (!info[0].IsExternal()) convert::invalid(env_, "tensor", "a tensor made by the addon");
  tensor_ = *info[0].As<Napi::External<at::Tensor>>().Data();
  Environment::of(env_).count(env_, tensor_);
}

void TensorHandle::Finalize(Napi::BasicEnv) { release(); }

void TensorHandle::release() {
  if (!tensor_.defined()) return;
  Environment::of(env_).uncount(env_, tensor_);
  tensor_.reset();
}

const at::Tensor& TensorHandle::alive(Napi::Env env) const {
  if (!tensor_.defined()) throw Napi::TypeError::New(env, "This tensor is disposed");
  return tensor_;
}

at::Tensor TensorHandle::unwrap(const Napi::Value& value, const std::string& name) {
  const Napi::Env env = value.Env();
  if (!value.IsObject() ||
      !value.As<Napi::Object>().InstanceOf(Environment::of(env).constructor(kClass))) {
    convert::invalid(env, name, "a tensor");
  }
  const auto* handle = Unwrap(value.As<Napi::Object>());
  if (!handle->tensor_.defined()) {
    convert::invalid(env, name, "a tensor that is not disposed");
  }
  return handle->tensor_;
}

at::Tensor TensorHandle::unwrap_optional(const Napi::Value& value, const std::string& name) {
  return value.IsNull() ? at::Tensor() : unwrap(value, name);
}

Napi::Value TensorHandle::dtype(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), convert::dtype_name(alive(info.Env()).scalar_type()));
}

Napi::Value TensorHandle::shape(const Napi::CallbackInfo& info) {
  return convert::from_shape(info.Env(), alive(info.Env()).sizes());
}

Napi::Value TensorHandle::device(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), alive(info.Env()).device().str());
}

Napi::Value TensorHandle::disposed(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), !tensor_.defined());
}

Napi::Value TensorHandle::read(const Napi::CallbackInfo& info) {
  const auto tensor = alive(info.Env());
  return run(
      info.Env(), tensor.device(),
      // A clone even on the CPU: later jobs may write the storage before JavaScript has copied it.
      [tensor] { return tensor.to(at::kCPU).clone(at::MemoryFormat::Contiguous); },
      [](Napi::Env env, const at::Tensor& host) -> Napi::Value {
        auto buffer = Napi::ArrayBuffer::New(env, host.nbytes());
        if (host.nbytes() > 0) std::memcpy(buffer.Data(), host.data_ptr(), host.nbytes());
        return buffer;
      });
}

Napi::Value TensorHandle::to(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto tensor = alive(info.Env());
    const auto device = parse_device(convert::string(info[0], "device"));
    const auto type = convert::dtype(info[1], "dtype");
    return run(
        info.Env(), device, [tensor, device, type] { return tensor.to(device, type); },
        [](Napi::Env env, const at::Tensor& result) { return wrap(env, result); });
  });
}

Napi::Value TensorHandle::slice(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto& tensor = alive(info.Env());
    return wrap(info.Env(), tensor.slice(0, convert::integer(info[0], "start"),
                                         convert::integer(info[1], "end")));
  });
}

Napi::Value TensorHandle::reshape(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    return wrap(info.Env(), alive(info.Env()).reshape(convert::shape(info[0], "shape")));
  });
}

Napi::Value TensorHandle::affine(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto tensor = alive(info.Env());
    const auto scale = unwrap(info[0], "scale");
    const auto shift = unwrap(info[1], "shift");
    return run(
        info.Env(), tensor.device(),
        [=] {
          const auto type = widest_float(tensor.device());
          const auto factors = scale.to(tensor.device(), type);
          const auto offsets = shift.to(tensor.device(), type);
          return (tensor.to(type) * factors + offsets).to(tensor.scalar_type());
        },
        [](Napi::Env env, const at::Tensor& result) { return wrap(env, result); });
  });
}

Napi::Value TensorHandle::is_finite(const Napi::CallbackInfo& info) {
  const auto tensor = alive(info.Env());
  return run(
      info.Env(), tensor.device(), [tensor] { return kernels::is_finite(tensor); },
      [](Napi::Env env, bool finite) -> Napi::Value { return Napi::Boolean::New(env, finite); });
}

Napi::Value TensorHandle::check(const Napi::CallbackInfo& info) {
  const auto tensor = alive(info.Env());
  return run(
      info.Env(), tensor.device(), [tensor] { return kernels::check(tensor); },
      [](Napi::Env env, const kernels::Checked& checked) -> Napi::Value {
        auto result = Napi::Object::New(env);
        result.Set("isFinite", checked.finite);
        result.Set("crc32c", checked.crc32c);
        return result;
      });
}

void TensorHandle::dispose(const Napi::CallbackInfo&) { release(); }

at::Tensor own_memory(const at::Tensor& tensor) {
  const bool whole = tensor.is_contiguous() && tensor.storage().nbytes() == tensor.nbytes();
  return whole ? tensor : tensor.clone(at::MemoryFormat::Contiguous);
}

void define_tensor_functions(Napi::Env env, Napi::Object exports) {
  exports.Set("tensor", Napi::Function::New(env, make_tensor, "tensor"));
}

}  // namespace mactok
