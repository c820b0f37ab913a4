#include "bindings/adversarial.h"

#include "bindings/convert.h"

namespace mactok {

AdversarialLoss adversarial_loss(const Napi::Value& value, const std::string& name) {
  const auto text = convert::string(value, name);
  if (text == "hinge") return AdversarialLoss::hinge;
  if (text == "vanilla") return AdversarialLoss::vanilla;
  if (text == "non-saturating") return AdversarialLoss::non_saturating;
  convert::invalid(value.Env(), name, "hinge, vanilla or non-saturating");
}

DiffAugmentOptions augment_options(const Napi::Value& value, const std::string& name) {
  const auto config = convert::object(value, name);
  const auto number = [&](const char* key) {
    return convert::number(config.Get(key), name + "." + key);
  };
  return {.probability = number("probability"),
          .color = convert::boolean(config.Get("color"), name + ".color"),
          .translation = number("translation"),
          .cutout = number("cutout")};
}

}  // namespace mactok
