#include "bindings/adversarial.h"

#include "bindings/choice.h"
#include "bindings/convert.h"

namespace mactok {

AdversarialLoss adversarial_loss(const Napi::Value& value, const std::string& name) {
  return choice<AdversarialLoss>(value, name,
                                 {{"hinge", AdversarialLoss::hinge},
                                  {"vanilla", AdversarialLoss::vanilla},
                                  {"non-saturating", AdversarialLoss::non_saturating}});
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
