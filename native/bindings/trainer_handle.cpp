#include "bindings/trainer_handle.h"

#include "bindings/process_group.h"

namespace mactok {

OptimizerOptions optimizer_options(const Napi::Value& value, const std::string& name) {
  const auto optimizer = convert::object(value, name);
  const auto betas = convert::array(optimizer.Get("betas"), name + ".betas");
  const auto number = [&](const char* key) {
    return convert::number(optimizer.Get(key), name + "." + key);
  };
  return {.beta1 = convert::number(betas.Get(0U), name + ".betas"),
          .beta2 = convert::number(betas.Get(1U), name + ".betas"),
          .eps = number("eps"),
          .weight_decay = number("weightDecay"),
          .clip_norm = number("clipNorm")};
}

TrainingOptions training_options(const Napi::Object& config) {
  const auto ema = convert::object(config.Get("ema"), "ema");
  return {.seed = convert::index(config.Get("seed"), "seed"),
          .precision = convert::precision(config.Get("precision"), "precision"),
          .graphs = convert::boolean(config.Get("graphs"), "graphs"),
          .optimizer = optimizer_options(config.Get("optimizer"), "optimizer"),
          .ema = {.decay = convert::number(ema.Get("decay"), "ema.decay"),
                  .warmup = convert::boolean(ema.Get("warmup"), "ema.warmup")},
          .group = ProcessGroupHandle::find(config.Get("group"), "group"),
          .sharded = config.Get("sharded").IsBoolean() &&
                     convert::boolean(config.Get("sharded"), "sharded")};
}

}  // namespace mactok
