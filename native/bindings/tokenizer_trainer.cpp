#include "bindings/tokenizer_trainer.h"

#include "bindings/adversarial.h"
#include "bindings/convert.h"
#include "bindings/discriminator.h"
#include "bindings/masking.h"
#include "bindings/perceptual.h"
#include "bindings/promise.h"
#include "bindings/teacher.h"
#include "bindings/tensor.h"
#include "bindings/tokenizer.h"

namespace mactok {
namespace {

double number(const Napi::Object& object, const char* key) {
  return convert::number(object.Get(key), key);
}

bool boolean(const Napi::Object& object, const char* key) {
  return convert::boolean(object.Get(key), key);
}

OptimizerOptions optimizer_options(const Napi::Value& value) {
  const auto optimizer = convert::object(value, "optimizer");
  const auto betas = convert::array(optimizer.Get("betas"), "betas");
  return {.beta1 = convert::number(betas.Get(0U), "betas"),
          .beta2 = convert::number(betas.Get(1U), "betas"),
          .eps = number(optimizer, "eps"),
          .weight_decay = number(optimizer, "weightDecay"),
          .clip_norm = number(optimizer, "clipNorm")};
}

GeneratorLossOptions loss_options(const Napi::Object& config, const Tokenizer& tokenizer,
                                  const Teacher* teacher) {
  const auto alignment = convert::object(config.Get("alignment"), "alignment");
  const auto decoder_only = config.Get("decoderOnly");
  return {
      .seed = convert::index(config.Get("seed"), "seed"),
      .masking = mask_options(config.Get("masking"), "masking"),
      .alignment = {.local = boolean(alignment, "local"),
                    .global = boolean(alignment, "global"),
                    .shared = boolean(alignment, "shared"),
                    .hidden = convert::count(alignment.Get("hidden"), "hidden", 1),
                    .channels = tokenizer.options().channels,
                    .teacher_width = teacher == nullptr ? 0 : teacher->options().width},
      .align_on_mean = convert::string(alignment.Get("on"), "on") == "mean",
      .reconstruction = convert::string(config.Get("reconstruction"), "reconstruction"),
      .decoder_only = !decoder_only.IsUndefined() && convert::boolean(decoder_only, "decoderOnly"),
  };
}

TokenizerStepOptions step_options(const Napi::Object& config, const Tokenizer& tokenizer,
                                  const Teacher* teacher) {
  const auto ema = convert::object(config.Get("ema"), "ema");
  return {
      .precision = convert::precision(config.Get("precision"), "precision"),
      .loss = loss_options(config, tokenizer, teacher),
      .optimizer = optimizer_options(config.Get("optimizer")),
      .ema = {.decay = number(ema, "decay"), .warmup = boolean(ema, "warmup")},
  };
}

DiscriminatorStepOptions discriminator_options(const Napi::Object& config) {
  const auto discriminator = convert::object(config.Get("discriminator"), "discriminator");
  return {
      .seed = convert::index(config.Get("seed"), "seed"),
      .loss = adversarial_loss(discriminator.Get("loss"), "discriminator.loss"),
      .adaptive = boolean(discriminator, "adaptive"),
      .augment = augment_options(discriminator.Get("augment"), "discriminator.augment"),
      .strong = augment_options(discriminator.Get("strong"), "discriminator.strong"),
      .consistency_weight = number(discriminator, "consistency"),
      .lecam_weight = number(discriminator, "lecam"),
      .lecam_decay = number(discriminator, "lecamDecay"),
      .optimizer = optimizer_options(config.Get("optimizer")),
  };
}

StepSchedule step_schedule(const Napi::Value& value) {
  const auto options = convert::object(value, "options");
  const auto weights = convert::object(options.Get("weights"), "weights");
  const auto weight = [&weights](const char* key) {
    return convert::number(weights.Get(key), key);
  };
  const auto optional = [&](const char* key) {
    return weights.Get(key).IsUndefined() ? 0.0 : weight(key);
  };
  return {
      .step = convert::index(options.Get("step"), "step"),
      .lr = convert::number(options.Get("lr"), "lr"),
      .weights = {.reconstruction = weight("reconstruction"),
                  .kl = weight("kl"),
                  .alignment = weight("alignment"),
                  .perceptual = optional("perceptual"),
                  .adversarial = optional("adversarial")},
  };
}

std::vector<at::Tensor> tensors(const Napi::Value& value, const std::string& name) {
  const auto list = convert::array(value, name);
  if (list.Length() == 0) convert::invalid(value.Env(), name, "at least one micro-batch");
  std::vector<at::Tensor> result;
  for (uint32_t i = 0; i < list.Length(); ++i) {
    result.push_back(TensorHandle::unwrap(list.Get(i), name));
  }
  return result;
}

/** A second tokenizer with the same values: where the average starts. */
std::shared_ptr<Tokenizer> copy_of(const Tokenizer& source, at::Device device) {
  auto copy = std::make_shared<Tokenizer>(source.options());
  copy->to(device);
  assignment(named_parameters(*copy), named_parameters(source), "tokenizer")();
  return copy;
}

using Trainer = TokenizerTrainerHandle::Trainer;

/** A network among the fourth argument's, or null. */
template <typename Handle>
typename Handle::Pointer network(const Napi::Value& networks, const char* name) {
  if (!networks.IsObject()) return nullptr;
  const Napi::Value value = networks.As<Napi::Object>().Get(name);
  return value.IsNull() || value.IsUndefined() ? nullptr : Handle::unwrap(value, name);
}

Napi::Value create(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto tokenizer = TokenizerHandle::unwrap(info[0], "tokenizer");
    const auto teacher = info[1].IsNull() ? nullptr : TeacherHandle::unwrap(info[1], "teacher");
    const auto config = convert::object(info[2], "config");
    const auto perceptual = network<PerceptualHandle>(info[3], "perceptual");
    const auto discriminator = network<DiscriminatorHandle>(info[3], "discriminator");
    const auto options = step_options(config, *tokenizer, teacher.get());
    const auto judging =
        discriminator ? std::optional(discriminator_options(config)) : std::nullopt;
    const auto device = module_device(*tokenizer);
    return run(
        info.Env(), device,
        [=] {
          auto ema = copy_of(*tokenizer, device);
          const auto adversary = discriminator
                                     ? std::make_shared<DiscriminatorStep>(discriminator, *judging)
                                     : nullptr;
          auto step = std::make_shared<TokenizerStep>(GeneratorNetworks{.tokenizer = tokenizer,
                                                                        .teacher = teacher,
                                                                        .heads = nullptr,
                                                                        .perceptual = perceptual,
                                                                        .discriminator = adversary},
                                                      ema, options);
          return Trainer{tokenizer, ema, step, device};
        },
        [](Napi::Env env, const Trainer& trainer) -> Napi::Value {
          auto copy = trainer;
          return Environment::of(env)
              .constructor(TokenizerTrainerHandle::kClass)
              .New({Napi::External<Trainer>::New(env, &copy)});
        });
  });
}

}  // namespace

void TokenizerTrainerHandle::define(Napi::Env env, Napi::Object exports) {
  using Self = TokenizerTrainerHandle;
  Environment::of(env).define(kClass,
                              DefineClass(env, kClass,
                                          {
                                              InstanceAccessor<&Self::tokenizer>("tokenizer"),
                                              InstanceAccessor<&Self::ema>("ema"),
                                              InstanceMethod<&Self::step>("step"),
                                              InstanceMethod<&Self::metrics>("metrics"),
                                              InstanceMethod<&Self::gradients>("gradients"),
                                              InstanceMethod<&Self::state>("state"),
                                              InstanceMethod<&Self::load>("load"),
                                              InstanceMethod<&Self::dispose>("dispose"),
                                          }));
  exports.Set("createTokenizerTrainer", Napi::Function::New(env, create, "createTokenizerTrainer"));
}

TokenizerTrainerHandle::TokenizerTrainerHandle(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<TokenizerTrainerHandle>(info) {
  if (!info[0].IsExternal()) convert::invalid(info.Env(), "trainer", "a trainer made by the addon");
  trainer_ = std::make_unique<Trainer>(*info[0].As<Napi::External<Trainer>>().Data());
}

const Trainer& TokenizerTrainerHandle::alive(Napi::Env env) const {
  if (!trainer_) throw Napi::TypeError::New(env, "This trainer is disposed");
  return *trainer_;
}

Napi::Value TokenizerTrainerHandle::tokenizer(const Napi::CallbackInfo& info) {
  return TokenizerHandle::wrap(info.Env(), alive(info.Env()).tokenizer);
}

Napi::Value TokenizerTrainerHandle::ema(const Napi::CallbackInfo& info) {
  return TokenizerHandle::wrap(info.Env(), alive(info.Env()).ema);
}

Napi::Value TokenizerTrainerHandle::step(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto& trainer = alive(info.Env());
    const auto batches = tensors(info[0], "microBatches");
    const auto schedule = step_schedule(info[1]);
    return run(
        info.Env(), trainer.device,
        [step = trainer.step, batches, schedule] { step->step(batches, schedule); }, to_undefined);
  });
}

Napi::Value TokenizerTrainerHandle::metrics(const Napi::CallbackInfo& info) {
  const auto& trainer = alive(info.Env());
  return run(
      info.Env(), trainer.device, [step = trainer.step] { return step->metrics(); },
      [](Napi::Env env, const std::map<std::string, double>& metrics) -> Napi::Value {
        auto result = Napi::Object::New(env);
        for (const auto& [name, value] : metrics) result.Set(name, value);
        return result;
      });
}

Napi::Value TokenizerTrainerHandle::gradients(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto& trainer = alive(info.Env());
    const auto batches = tensors(info[0], "microBatches");
    const auto schedule = step_schedule(info[1]);
    return run(
        info.Env(), trainer.device,
        [step = trainer.step, batches, schedule] { return step->gradients(batches, schedule); },
        [](Napi::Env env, const NamedTensors& gradients) -> Napi::Value {
          return to_state(env, gradients);
        });
  });
}

Napi::Value TokenizerTrainerHandle::state(const Napi::CallbackInfo& info) {
  auto result = Napi::Object::New(info.Env());
  for (const auto& [group, tensors] : alive(info.Env()).step->state()) {
    result.Set(group, to_state(info.Env(), tensors));
  }
  return result;
}

Napi::Value TokenizerTrainerHandle::load(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto& trainer = alive(info.Env());
    const auto given = convert::object(info[0], "state");
    std::vector<std::function<void()>> assignments;
    for (const auto& [group, targets] : trainer.step->state()) {
      if (targets.empty() && given.Get(group).IsUndefined()) continue;
      assignments.push_back(assignment(targets, from_state(given.Get(group), group), group));
    }
    return run(
        info.Env(), trainer.device,
        [assignments] {
          for (const auto& assign : assignments) assign();
        },
        to_undefined);
  });
}

void TokenizerTrainerHandle::dispose(const Napi::CallbackInfo&) { trainer_.reset(); }

}  // namespace mactok
