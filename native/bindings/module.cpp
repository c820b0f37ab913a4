#include "bindings/module.h"

#include <map>

#include "bindings/choice.h"
#include "bindings/convert.h"
#include "bindings/environment.h"
#include "bindings/tensor.h"

namespace mactok {

Napi::Object to_state(Napi::Env env, const NamedTensors& tensors) {
  auto result = Napi::Object::New(env);
  for (const auto& [name, tensor] : tensors) result.Set(name, TensorHandle::wrap(env, tensor));
  return result;
}

NamedTensors from_state(const Napi::Value& value, const std::string& name) {
  const auto object = convert::object(value, name);
  const auto keys = object.GetPropertyNames();
  NamedTensors result;
  for (uint32_t i = 0; i < keys.Length(); ++i) {
    const auto key = convert::string(keys.Get(i), name);
    result.emplace_back(key, TensorHandle::unwrap(object.Get(key), name + "." + key));
  }
  return result;
}

std::function<void()> assignment(const NamedTensors& targets, const NamedTensors& values,
                                 const std::string& what) {
  std::map<std::string, at::Tensor> given(values.begin(), values.end());
  std::vector<std::pair<at::Tensor, at::Tensor>> copies;
  for (const auto& [name, target] : targets) {
    const auto found = given.find(name);
    if (found == given.end()) throw std::invalid_argument(what + " lacks the tensor " + name);
    if (found->second.sizes() != target.sizes()) {
      throw std::invalid_argument("Expected shape " + c10::str(target.sizes()) + " for " + what +
                                  " tensor " + name + " but received " +
                                  c10::str(found->second.sizes()));
    }
    copies.emplace_back(target.detach(), found->second);
    given.erase(found);
  }
  if (!given.empty()) {
    throw std::invalid_argument(what + " has no tensor named " + given.begin()->first);
  }
  return [copies] {
    for (const auto& [target, value] : copies) target.copy_(value);
  };
}

ModelBytes::ModelBytes(Napi::Env env, const torch::nn::Module& module)
    : env_(env), module_(&module) {
  for (const auto& parameter : module.parameters())
    bytes_ += static_cast<int64_t>(parameter.nbytes());
  Environment::of(env_).count_model(&module, bytes_);
}

ModelBytes::~ModelBytes() { Environment::of(env_).uncount_model(module_, bytes_); }

at::Device module_device(const torch::nn::Module& module) {
  return module.parameters().at(0).device();
}

VitOptions vit_options(const Napi::Value& value, const std::string& name, int64_t patch,
                       int64_t grid) {
  const auto config = convert::object(value, name);
  const auto field = [&name](const char* key) { return name + "." + key; };
  const auto count = [&](const char* key) {
    return convert::count(config.Get(key), field(key), 1);
  };
  const auto number = [&](const char* key) { return convert::number(config.Get(key), field(key)); };
  const auto layer_scale = config.Get("layerScale");
  return {
      .grid = grid,
      .patch = patch,
      .width = count("width"),
      .depth = count("depth"),
      .heads = count("heads"),
      .mlp_ratio = number("mlpRatio"),
      .mlp = choice<Mlp>(
          config.Get("mlp"), field("mlp"),
          {{"gelu", Mlp::gelu}, {"gelu_tanh", Mlp::gelu_tanh}, {"swiglu", Mlp::swiglu}}),
      .layer_scale = !layer_scale.IsNull(),
      .layer_scale_init = layer_scale.IsNull() ? 1.0 : number("layerScale"),
      .cls = convert::boolean(config.Get("cls"), field("cls")),
      .registers = convert::count(config.Get("registers"), field("registers"), 0),
      .positions = choice<Positions>(config.Get("positions"), field("positions"),
                                     {{"learned", Positions::learned}, {"rope", Positions::rope}}),
      .rope_theta = number("ropeTheta"),
      .norm_eps = number("normEps"),
  };
}

}  // namespace mactok
