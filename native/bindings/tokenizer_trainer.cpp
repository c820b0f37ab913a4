#include "bindings/tokenizer_trainer.h"

#include "bindings/adversarial.h"
#include "bindings/convert.h"
#include "bindings/discriminator.h"
#include "bindings/masking.h"
#include "bindings/perceptual.h"
#include "bindings/promise.h"
#include "bindings/teacher.h"
#include "bindings/tensor.h"

namespace mactok {
namespace {

double number(const Napi::Object& object, const char* key) {
  return convert::number(object.Get(key), key);
}

bool boolean(const Napi::Object& object, const char* key) {
  return convert::boolean(object.Get(key), key);
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
  return {
      .precision = convert::precision(config.Get("precision"), "precision"),
      .graphs = boolean(config, "graphs"),
      .loss = loss_options(config, tokenizer, teacher),
      .optimizer = optimizer_options(config.Get("optimizer"), "optimizer"),
      .ema = ema_options(config.Get("ema"), "ema"),
  };
}

DiscriminatorStepOptions discriminator_options(const Napi::Object& config) {
  const auto discriminator = convert::object(config.Get("discriminator"), "discriminator");
  return {
      .loss = adversarial_loss(discriminator.Get("loss"), "discriminator.loss"),
      .adaptive = boolean(discriminator, "adaptive"),
      .augment = augment_options(discriminator.Get("augment"), "discriminator.augment"),
      .strong = augment_options(discriminator.Get("strong"), "discriminator.strong"),
      .consistency_weight = number(discriminator, "consistency"),
      .lecam_weight = number(discriminator, "lecam"),
      .lecam_decay = number(discriminator, "lecamDecay"),
      .optimizer = optimizer_options(config.Get("optimizer"), "optimizer"),
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
          return TokenizerTrainerHandle::Trainer{tokenizer, ema, step, device};
        },
        TokenizerTrainerHandle::wrap);
  });
}

}  // namespace

void TokenizerTrainerHandle::define(Napi::Env env, Napi::Object exports) {
  define_class(env);
  exports.Set("createTokenizerTrainer", Napi::Function::New(env, create, "createTokenizerTrainer"));
}

Napi::Value TokenizerTrainerHandle::step(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto batches = tensors(info[0], "microBatches");
    const auto schedule = step_schedule(info[1]);
    const auto features = info[2].IsUndefined() || info[2].IsNull() ? std::vector<at::Tensor>()
                                                                    : tensors(info[2], "features");
    return run_step(info.Env(),
                    [=](TokenizerStep& step) { step.step(batches, schedule, features); });
  });
}

Napi::Value TokenizerTrainerHandle::gradients(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto batches = tensors(info[0], "microBatches");
    const auto schedule = step_schedule(info[1]);
    return run_gradients(info.Env(),
                         [=](TokenizerStep& step) { return step.gradients(batches, schedule); });
  });
}

}  // namespace mactok
