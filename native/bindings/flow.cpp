#include "bindings/flow.h"

#include "bindings/choice.h"
#include "bindings/convert.h"
#include "bindings/generator.h"
#include "bindings/tensor.h"

namespace mactok {
PathKind path_kind(const Napi::Value& value, const std::string& name) {
  return choice<PathKind>(
      value, name, {{"linear", PathKind::linear}, {"gvp", PathKind::gvp}, {"vp", PathKind::vp}});
}

FlowOptions flow_options(const Napi::Value& value, const std::string& name) {
  const auto config = convert::object(value, name);
  return {.path = path_kind(config.Get("path"), name + ".path"),
          .prediction = choice<Prediction>(config.Get("prediction"), name + ".prediction",
                                           {{"velocity", Prediction::velocity},
                                            {"noise", Prediction::noise},
                                            {"score", Prediction::score}}),
          .time = choice<TimeDirection>(config.Get("time"), name + ".time",
                                        {{"data_at_1", TimeDirection::data_at_one},
                                         {"data_at_0", TimeDirection::data_at_zero}})};
}

FlowLossOptions flow_loss_options(const Napi::Value& value, const std::string& name) {
  const auto config = convert::object(value, name);
  return {.weighting = choice<Weighting>(config.Get("weighting"), name + ".weighting",
                                         {{"none", Weighting::none},
                                          {"velocity", Weighting::velocity},
                                          {"likelihood", Weighting::likelihood}}),
          .direction_weight = convert::number(config.Get("direction"), name + ".direction")};
}

DiffusionOptions diffusion_options(const Napi::Value& value, const std::string& name) {
  const auto config = convert::object(value, name);
  const auto field = [&name](const char* key) { return name + "." + key; };
  return {.form = choice<DiffusionForm>(
              config.Get("form"), field("form"),
              {{"constant", DiffusionForm::constant},
               {"sbdm", DiffusionForm::sbdm},
               {"sigma", DiffusionForm::sigma},
               {"linear", DiffusionForm::linear},
               {"decreasing", DiffusionForm::decreasing},
               {"increasing-decreasing", DiffusionForm::increasing_decreasing}}),
          .norm = convert::number(config.Get("norm"), field("norm")),
          .last_step = choice<LastStep>(config.Get("lastStep"), field("lastStep"),
                                        {{"mean", LastStep::mean},
                                         {"tweedie", LastStep::tweedie},
                                         {"euler", LastStep::euler},
                                         {"none", LastStep::none}}),
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
