#include "bindings/tokenizer_trainer.h"

#include "bindings/adversarial.h"
#include "bindings/choice.h"
#include "bindings/convert.h"
#include "bindings/discriminator.h"
#include "bindings/masking.h"
#include "bindings/perceptual.h"
#include "bindings/process_group.h"
#include "bindings/promise.h"
#include "bindings/teacher.h"
#include "bindings/tensor.h"

namespace mactok {
namespace {

bool boolean(const Napi::Object& object, const char* key) {
  return convert::boolean(object.Get(key), key);
}

TokenizerLossOptions loss_options(const Napi::Object& config, const Tokenizer& tokenizer,
                                  const Teacher* teacher) {
  const auto alignment = convert::object(config.Get("alignment"), "alignment");
  const auto decoder_only = config.Get("decoderOnly");
  return {
      .masking = mask_options(config.Get("masking"), "masking"),
      .alignment = {.local = boolean(alignment, "local"),
                    .global = boolean(alignment, "global"),
                    .shared = boolean(alignment, "shared"),
                    .hidden = convert::count(alignment.Get("hidden"), "hidden", 1),
                    .channels = tokenizer.options().channels,
                    .teacher_width = teacher == nullptr ? 0 : teacher->options().width},
      .align_on = choice<AlignedLatents>(
          alignment.Get("on"), "alignment.on",
          {{"sample", AlignedLatents::sample}, {"mean", AlignedLatents::mean}}),
      .reconstruction = choice<ReconstructionLoss>(
          config.Get("reconstruction"), "reconstruction",
          {{"mse", ReconstructionLoss::mse}, {"l1", ReconstructionLoss::l1}}),
      .decoder_only = !decoder_only.IsUndefined() && convert::boolean(decoder_only, "decoderOnly"),
      .group = ProcessGroupHandle::find(config.Get("group"), "group"),
  };
}

DiscriminatorStepOptions discriminator_options(const Napi::Object& config) {
  const auto discriminator = convert::object(config.Get("discriminator"), "discriminator");
  const auto number = [&](const char* key) {
    return convert::number(discriminator.Get(key), std::string("discriminator.") + key);
  };
  return {
      .loss = adversarial_loss(discriminator.Get("loss"), "discriminator.loss"),
      .adaptive = boolean(discriminator, "adaptive"),
      .augment = augment_options(discriminator.Get("augment"), "discriminator.augment"),
      .strong = augment_options(discriminator.Get("strong"), "discriminator.strong"),
      .consistency_weight = number("consistency"),
      .lecam_weight = number("lecam"),
      .lecam_decay = number("lecamDecay"),
      .optimizer = optimizer_options(config.Get("optimizer"), "optimizer"),
      .group = ProcessGroupHandle::find(config.Get("group"), "group"),
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

std::vector<at::Tensor> to_tensors(const Napi::Value& value, const std::string& name) {
  const auto list = convert::array(value, name);
  if (list.Length() == 0) convert::invalid(value.Env(), name, "at least one micro-batch");
  std::vector<at::Tensor> result;
  for (uint32_t i = 0; i < list.Length(); ++i) {
    result.push_back(TensorHandle::unwrap(list.Get(i), name));
  }
  return result;
}

/** A second tokenizer with the same weights, from which the average starts. */
std::shared_ptr<Tokenizer> copy_tokenizer(const Tokenizer& source, at::Device device) {
  auto copy = std::make_shared<Tokenizer>(source.options());
  copy->to(device);
  assignment(named_parameters(*copy), named_parameters(source), "tokenizer")();
  return copy;
}

/** An optional network among the fourth argument's; null where it is absent. */
template <typename Handle>
typename Handle::Pointer unwrap_network(const Napi::Value& networks, const char* name) {
  if (!networks.IsObject()) return nullptr;
  const Napi::Value value = networks.As<Napi::Object>().Get(name);
  return value.IsNull() || value.IsUndefined() ? nullptr : Handle::unwrap(value, name);
}

Napi::Value create(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto tokenizer = TokenizerHandle::unwrap(info[0], "tokenizer");
    const auto teacher = info[1].IsNull() ? nullptr : TeacherHandle::unwrap(info[1], "teacher");
    const auto config = convert::object(info[2], "config");
    const auto perceptual = unwrap_network<PerceptualHandle>(info[3], "perceptual");
    const auto discriminator = unwrap_network<DiscriminatorHandle>(info[3], "discriminator");
    const TokenizerStepOptions options{
        .training = training_options(config),
        .loss = loss_options(config, *tokenizer, teacher.get()),
    };
    const auto adversary_options =
        discriminator
            ? std::make_shared<const DiscriminatorStepOptions>(discriminator_options(config))
            : nullptr;
    const auto device = module_device(*tokenizer);
    return run(
        info.Env(), device,
        [=] {
          auto ema = copy_tokenizer(*tokenizer, device);
          const TokenizerNetworks networks{
              .tokenizer = tokenizer,
              .teacher = teacher,
              .heads = make_alignment_heads(options.loss.alignment, options.training.seed, device),
              .perceptual = perceptual,
              .discriminator = discriminator ? std::make_shared<DiscriminatorStep>(
                                                   discriminator, *adversary_options)
                                             : nullptr};
          auto step = std::make_shared<TokenizerStep>(networks, ema, options);
          step->share_state();
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
    const auto batches = to_tensors(info[0], "microBatches");
    const auto schedule = step_schedule(info[1]);
    const auto features = info[2].IsUndefined() || info[2].IsNull()
                              ? std::vector<at::Tensor>()
                              : to_tensors(info[2], "features");
    return run_step(info.Env(),
                    [=](TokenizerStep& step) { step.step(batches, schedule, features); });
  });
}

Napi::Value TokenizerTrainerHandle::gradients(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto batches = to_tensors(info[0], "microBatches");
    const auto schedule = step_schedule(info[1]);
    return run_gradients(info.Env(),
                         [=](TokenizerStep& step) { return step.gradients(batches, schedule); });
  });
}

}  // namespace mactok
