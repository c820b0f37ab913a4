#include "bindings/probe.h"

#include "bindings/convert.h"
#include "bindings/promise.h"
#include "bindings/tensor.h"
#include "train/linear_probe.h"

namespace mactok {
namespace {

ProbeData data(const Napi::Value& features, const Napi::Value& labels, const std::string& name) {
  const ProbeData result{.features = TensorHandle::unwrap(features, name + " features"),
                         .labels = TensorHandle::unwrap(labels, name + " labels")};
  if (result.features.dim() != 2 || result.features.size(0) < 1) {
    convert::invalid(features.Env(), name + " features", "shape [n, D], n ≥ 1");
  }
  if (result.labels.scalar_type() != at::kLong || result.labels.dim() != 1 ||
      result.labels.size(0) != result.features.size(0)) {
    convert::invalid(labels.Env(), name + " labels", "int64 [n]");
  }
  return result;
}

Napi::Value linear_probe(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto train = data(info[0], info[1], "training");
    const auto validation = data(info[2], info[3], "validation");
    const auto config = convert::object(info[4], "options");
    const ProbeOptions options{
        .classes = convert::count(config.Get("classes"), "classes", 2),
        .l2 = convert::number(config.Get("l2"), "l2"),
        .iterations = convert::count(config.Get("iterations"), "iterations", 1)};
    return run(
        info.Env(), train.features.device(), [=] { return fit_probe(train, validation, options); },
        [](Napi::Env env, const Probe& probe) -> Napi::Value {
          auto result = Napi::Object::New(env);
          result.Set("weight", TensorHandle::wrap(env, probe.weight));
          result.Set("bias", TensorHandle::wrap(env, probe.bias));
          result.Set("mean", TensorHandle::wrap(env, probe.mean));
          result.Set("deviation", TensorHandle::wrap(env, probe.deviation));
          result.Set("loss", probe.loss);
          result.Set("trainAccuracy", probe.train_accuracy);
          result.Set("validationAccuracy", probe.validation_accuracy);
          return result;
        });
  });
}

}  // namespace

void define_probe_functions(Napi::Env env, Napi::Object exports) {
  exports.Set("linearProbe", Napi::Function::New(env, linear_probe, "linearProbe"));
}

}  // namespace mactok
