#include "testing/trainers.h"

#include "bindings/flow_trainer.h"
#include "bindings/tokenizer_trainer.h"
#include "testing/method.h"

namespace mactok {
namespace {

template <typename Handle>
Napi::Value gradients(const Napi::CallbackInfo& info) {
  return Handle::Unwrap(info.This().As<Napi::Object>())->gradients(info);
}

}  // namespace

void define_trainer_methods(Napi::Env env) {
  add_method(env, TokenizerTrainerHandle::kClass, "gradients", gradients<TokenizerTrainerHandle>);
  add_method(env, FlowTrainerHandle::kClass, "gradients", gradients<FlowTrainerHandle>);
}

}  // namespace mactok
