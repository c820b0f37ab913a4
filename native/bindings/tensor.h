#pragma once

#include <napi.h>
#include "runtime/torch.h"

#include <string>

namespace mactok {

/** The JavaScript handle of a tensor (NativeTensor in lib/native/types/tensor.ts). */
class TensorHandle : public Napi::ObjectWrap<TensorHandle> {
 public:
  static void define(Napi::Env env);
  static Napi::Value wrap(Napi::Env env, const at::Tensor& tensor);
  /**
   * The tensor of an argument; throws a TypeError that names the parameter if it is none or is
   * disposed.
   */
  static at::Tensor unwrap(const Napi::Value& value, const std::string& name);
  /** As `unwrap`, but null gives an undefined tensor. */
  static at::Tensor unwrap_optional(const Napi::Value& value, const std::string& name);

  explicit TensorHandle(const Napi::CallbackInfo& info);
  void Finalize(Napi::BasicEnv env) override;

 private:
  Napi::Value dtype(const Napi::CallbackInfo& info);
  Napi::Value shape(const Napi::CallbackInfo& info);
  Napi::Value device(const Napi::CallbackInfo& info);
  Napi::Value disposed(const Napi::CallbackInfo& info);
  Napi::Value read(const Napi::CallbackInfo& info);
  Napi::Value to(const Napi::CallbackInfo& info);
  Napi::Value slice(const Napi::CallbackInfo& info);
  Napi::Value reshape(const Napi::CallbackInfo& info);
  Napi::Value affine(const Napi::CallbackInfo& info);
  Napi::Value is_finite(const Napi::CallbackInfo& info);
  Napi::Value check(const Napi::CallbackInfo& info);
  void dispose(const Napi::CallbackInfo& info);

  const at::Tensor& alive(Napi::Env env) const;
  void release();

  Napi::Env env_;
  at::Tensor tensor_;
};

/** The tensor, copied if it is a part of another one, whose memory its handle would keep. */
at::Tensor own_memory(const at::Tensor& tensor);

/** tensor in lib/native/types/tensor.ts. */
void define_tensor_functions(Napi::Env env, Napi::Object exports);

}  // namespace mactok
