#include "bindings/sampler.h"

#include "bindings/choice.h"
#include "bindings/convert.h"
#include "bindings/flow.h"
#include "bindings/generator.h"
#include "bindings/promise.h"
#include "bindings/tensor.h"
#include "flow/replayed_denoiser.h"
#include "runtime/cuda_library.h"
#include "runtime/random.h"

namespace mactok {
namespace {

using Running = SamplerHandle::Running;

SamplerOptions sampler_options(const Napi::Object& config) {
  const auto number = [&](const char* key) { return convert::number(config.Get(key), key); };
  return {.method = choice<SamplerMethod>(config.Get("method"), "method",
                                          {{"euler", SamplerMethod::euler},
                                           {"heun", SamplerMethod::heun},
                                           {"midpoint", SamplerMethod::midpoint},
                                           {"dopri5", SamplerMethod::dopri5},
                                           {"euler-maruyama", SamplerMethod::euler_maruyama},
                                           {"sde-heun", SamplerMethod::sde_heun}}),
          .steps = convert::integer(config.Get("steps"), "steps"),
          .shift = number("shift"),
          .rtol = number("rtol"),
          .atol = number("atol"),
          .control =
              choice<StepControl>(config.Get("control"), "control",
                                  {{"sample", StepControl::sample}, {"batch", StepControl::batch}}),
          .diffusion = diffusion_options(config.Get("diffusion"), "diffusion")};
}

/** Standard normals of samples first_index, …: [batch, …shape]. */
at::Tensor draw(const char* stream, uint64_t seed, uint64_t step, uint64_t first_index,
                std::vector<int64_t> shape) {
  const int64_t batch = shape[0];
  return random::normal(seed, stream, step, first_index, batch,
                        c10::multiply_integers(shape) / batch)
      .view(shape);
}

Napi::Value create(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto model = GeneratorHandle::unwrap(info[0], "generator");
    const auto flow = flow_options(info[1], "flow");
    const auto guidance = guidance_options(info[2], "guidance");
    const auto config = convert::object(info[3], "config");
    const auto options = sampler_options(config);
    const auto precision = convert::precision(config.Get("precision"), "precision");
    const bool graphs = convert::boolean(config.Get("graphs"), "graphs");
    const auto seed = convert::index(config.Get("seed"), "seed");
    const auto first_index = convert::index(config.Get("firstIndex"), "firstIndex");
    const auto dtype = convert::dtype(config.Get("state"), "state");
    const auto given_labels = TensorHandle::unwrap(info[4], "labels");
    const auto labels = class_labels(info[4], "labels", given_labels.numel());
    const auto start = TensorHandle::unwrap_optional(info[5], "start");
    const auto increments = TensorHandle::unwrap_optional(info[6], "increments");
    const auto device = module_device(*model);
    return run(
        info.Env(), device,
        [=] {
          auto shape = model->latent_shape();
          shape.insert(shape.begin(), labels.size(0));
          const auto noise =
              start.defined() ? start : draw("sample/noise", seed, 0, first_index, shape);
          TORCH_CHECK_VALUE(noise.sizes() == at::IntArrayRef(shape), "start: expected ",
                            at::IntArrayRef(shape), " but received ", noise.sizes());
          const Increments draws = [=](int64_t step) {
            const auto drawn = increments.defined()
                                   ? increments.select(0, step)
                                   : draw("sample/increments", seed, static_cast<uint64_t>(step),
                                          first_index, shape);
            return upload(drawn, device);
          };
          std::shared_ptr<const Denoiser> network = model;
          auto guiding = guidance;
          if (graphs) {
            network = std::make_shared<ReplayedDenoiser>(network, device);
            if (guiding.weak)
              guiding.weak = std::make_shared<ReplayedDenoiser>(guiding.weak, device);
          }
          std::shared_ptr<Sampler> sampler =
              make_sampler(options, Field(network, flow, upload(labels, device), guiding),
                           upload(noise.to(dtype), device), draws);
          return Running{sampler, std::make_shared<RunAhead>(device), precision, device};
        },
        [](Napi::Env env, const Running& running) -> Napi::Value {
          auto copy = running;
          return Environment::of(env)
              .constructor(SamplerHandle::kClass)
              .New({Napi::External<Running>::New(env, &copy)});
        });
  });
}

struct Progress {
  bool done;
  double time;
  Evaluations evaluations;
};

/** Resolves to a tensor of the sampler, in float32. */
Napi::Value read_tensor(Napi::Env env, const Running& running,
                        const at::Tensor& (Sampler::*read)() const) {
  return run(
      env, running.device,
      [sampler = running.sampler, read] { return ((*sampler).*read)().to(at::kFloat); },
      [](Napi::Env env, const at::Tensor& tensor) { return TensorHandle::wrap(env, tensor); });
}

}  // namespace

void SamplerHandle::define(Napi::Env env, Napi::Object exports) {
  using Self = SamplerHandle;
  Environment::of(env).define(kClass, DefineClass(env, kClass,
                                                  {
                                                      InstanceMethod<&Self::step>("step"),
                                                      InstanceMethod<&Self::latents>("latents"),
                                                      InstanceMethod<&Self::preview>("preview"),
                                                      InstanceMethod<&Self::dispose>("dispose"),
                                                  }));
  exports.Set("createSampler", Napi::Function::New(env, create, "createSampler"));
}

SamplerHandle::SamplerHandle(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<SamplerHandle>(info) {
  if (!info[0].IsExternal()) convert::invalid(info.Env(), "sampler", "a sampler made by the addon");
  running_ = std::make_unique<Running>(*info[0].As<Napi::External<Running>>().Data());
}

const Running& SamplerHandle::alive(Napi::Env env) const {
  if (!running_) throw Napi::TypeError::New(env, "This sampler is disposed");
  return *running_;
}

Napi::Value SamplerHandle::step(const Napi::CallbackInfo& info) {
  const auto running = alive(info.Env());
  return run(
      info.Env(), running.device,
      [running] {
        const Autocast autocast(running.device.type(), running.precision);
        auto& sampler = *running.sampler;
        running.run_ahead->wait();
        if (!sampler.done()) sampler.step();
        return Progress{sampler.done(), sampler.time(), sampler.evaluations()};
      },
      [](Napi::Env env, const Progress& progress) -> Napi::Value {
        const auto count = [env](int64_t value) {
          return Napi::Number::New(env, static_cast<double>(value));
        };
        auto result = Napi::Object::New(env);
        result.Set("done", progress.done);
        result.Set("time", progress.time);
        result.Set("field", count(progress.evaluations.field));
        result.Set("samples", count(progress.evaluations.samples));
        result.Set("guiding", count(progress.evaluations.guiding));
        return result;
      });
}

Napi::Value SamplerHandle::latents(const Napi::CallbackInfo& info) {
  return read_tensor(info.Env(), alive(info.Env()), &Sampler::latents);
}

Napi::Value SamplerHandle::preview(const Napi::CallbackInfo& info) {
  return read_tensor(info.Env(), alive(info.Env()), &Sampler::preview);
}

void SamplerHandle::dispose(const Napi::CallbackInfo& info) {
  if (!running_) return;
  const auto device = running_->device;
  // On the engine, where graphs are recorded and closed one after another. Its memory stays cached
  // for the next sampler.
  ignore_rejection(run(
      info.Env(), device,
      [running = std::shared_ptr<Running>(std::move(running_))]() mutable { running.reset(); },
      to_undefined));
}

}  // namespace mactok
