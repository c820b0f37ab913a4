#include "bindings/tokenizer_trainer.h"

#include "bindings/convert.h"
#include "bindings/masking.h"
#include "bindings/promise.h"
#include "bindings/teacher.h"
#include "bindings/tensor.h"
#include "bindings/tokenizer.h"

namespace mactok {
namespace {

TokenizerStepOptions step_options(const Napi::Value& value, const Tokenizer& tokenizer,
                                  const Teacher* teacher) {
  const auto config = convert::object(value, "config");
  const auto alignment = convert::object(config.Get("alignment"), "alignment");
  const auto optimizer = convert::object(config.Get("optimizer"), "optimizer");
  const auto betas = convert::array(optimizer.Get("betas"), "betas");
  const auto ema = convert::object(config.Get("ema"), "ema");
  const auto number = [](const Napi::Object& object, const char* key) {
    return convert::number(object.Get(key), key);
  };
  const auto boolean = [](const Napi::Object& object, const char* key) {
    return convert::boolean(object.Get(key), key);
  };
  return {
      .seed = convert::index(config.Get("seed"), "seed"),
      .precision = convert::precision(config.Get("precision"), "precision"),
      .masking = mask_options(config.Get("masking"), "masking"),
      .alignment = {.local = boolean(alignment, "local"),
                    .global = boolean(alignment, "global"),
                    .shared = boolean(alignment, "shared"),
                    .hidden = convert::count(alignment.Get("hidden"), "hidden", 1),
                    .channels = tokenizer.options().channels,
                    .teacher_width = teacher == nullptr ? 0 : teacher->options().width},
      .align_on_mean = convert::string(alignment.Get("on"), "on") == "mean",
      .reconstruction = convert::string(config.Get("reconstruction"), "reconstruction"),
      .optimizer = {.beta1 = convert::number(betas.Get(0U), "betas"),
                    .beta2 = convert::number(betas.Get(1U), "betas"),
                    .eps = number(optimizer, "eps"),
                    .weight_decay = number(optimizer, "weightDecay"),
                    .clip_norm = number(optimizer, "clipNorm")},
      .ema = {.decay = number(ema, "decay"), .warmup = boolean(ema, "warmup")},
  };
}

StepSchedule step_schedule(const Napi::Value& value) {
  const auto options = convert::object(value, "options");
  const auto weights = convert::object(options.Get("weights"), "weights");
  const auto weight = [&weights](const char* key) { return convert::number(weights.Get(key), key); };
  return {
      .step = convert::index(options.Get("step"), "step"),
      .lr = convert::number(options.Get("lr"), "lr"),
      .reconstruction_weight = weight("reconstruction"),
      .kl_weight = weight("kl"),
      .alignment_weight = weight("alignment"),
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

Napi::Value create(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto tokenizer = TokenizerHandle::unwrap(info[0], "tokenizer");
    const auto teacher = info[1].IsNull() ? nullptr : TeacherHandle::unwrap(info[1], "teacher");
    const auto options = step_options(info[2], *tokenizer, teacher.get());
    const auto device = module_device(*tokenizer);
    return run(
        info.Env(), device,
        [=] {
          auto ema = copy_of(*tokenizer, device);
          auto step = std::make_shared<TokenizerStep>(tokenizer, ema, teacher, options);
          return Trainer{tokenizer, ema, step, device};
        },
        [](Napi::Env env, const Trainer& trainer) -> Napi::Value {
          auto copy = trainer;
          return Environment::of(env).constructor(TokenizerTrainerHandle::kClass).New(
              {Napi::External<Trainer>::New(env, &copy)});
        });
  });
}

}  // namespace

void TokenizerTrainerHandle::define(Napi::Env env, Napi::Object exports) {
  using Self = TokenizerTrainerHandle;
  Environment::of(env).define(kClass, DefineClass(env, kClass,
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
  exports.Set("createTokenizerTrainer",
              Napi::Function::New(env, create, "createTokenizerTrainer"));
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
