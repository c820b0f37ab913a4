#include "bindings/flow.h"

#include "bindings/convert.h"
#include "bindings/generator.h"
#include "bindings/tensor.h"

namespace mactok {
FlowOptions flow_options(const Napi::Value& value, const std::string& name) {
  const auto config = convert::object(value, name);
  const auto text = [&](const char* key) {
    return convert::string(config.Get(key), name + "." + key);
  };
  return {.path = parse_path(text("path")),
          .prediction = parse_prediction(text("prediction")),
          .data_at_zero = text("time") == "data_at_0"};
}

FlowLossOptions flow_loss_options(const Napi::Value& value, const std::string& name) {
  const auto config = convert::object(value, name);
  return {
      .weighting = parse_weighting(convert::string(config.Get("weighting"), name + ".weighting")),
      .direction_weight = convert::number(config.Get("direction"), name + ".direction")};
}

DiffusionOptions diffusion_options(const Napi::Value& value, const std::string& name) {
  const auto config = convert::object(value, name);
  const auto field = [&name](const char* key) { return name + "." + key; };
  return {.form = convert::string(config.Get("form"), field("form")),
          .norm = convert::number(config.Get("norm"), field("norm")),
          .last_step = convert::string(config.Get("lastStep"), field("lastStep")),
          .last_step_size = convert::number(config.Get("lastStepSize"), field("lastStepSize"))};
}

Guidance guidance_options(const Napi::Value& value, const std::string& name) {
  const auto config = convert::object(value, name);
  const auto field = [&name](const char* key) { return name + "." + key; };
  const auto weak = config.Get("weak");
  return {.scale = convert::number(config.Get("scale"), field("scale")),
          .low = convert::number(config.Get("low"), field("low")),
          .high = convert::number(config.Get("high"), field("high")),
          .channels = convert::integer(config.Get("channels"), field("channels")),
          .weak = weak.IsNull() ? nullptr : GeneratorHandle::unwrap(weak, field("weak"))};
}

at::Tensor class_labels(const Napi::Value& value, const std::string& name, int64_t batch) {
  const auto labels = TensorHandle::unwrap(value, name);
  if (labels.scalar_type() != at::kLong || labels.dim() != 1 || labels.size(0) != batch) {
    convert::invalid(value.Env(), name, "an int64 tensor [" + std::to_string(batch) + "]");
  }
  return labels;
}

}  // namespace mactok
