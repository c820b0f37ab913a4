#include "bindings/tokenizer.h"

#include "bindings/choice.h"
#include "bindings/tensor.h"
#include "nn/network_images.h"
#include "runtime/device.h"
#include "runtime/random.h"

namespace mactok {
namespace {

std::optional<SoftQuantizerOptions> softvq_options(const Napi::Value& value) {
  if (value.IsUndefined()) return {};
  const auto config = convert::object(value, "softvq");
  return SoftQuantizerOptions{
      .codebooks = convert::count(config.Get("codebooks"), "softvq.codebooks", 1),
      .codebook_size = convert::count(config.Get("codebookSize"), "softvq.codebookSize", 1),
      .temperature = convert::number(config.Get("temperature"), "softvq.temperature"),
      .normalise = convert::boolean(config.Get("normalise"), "softvq.normalise")};
}

TokenizerOptions tokenizer_options(const Napi::Value& value) {
  const auto config = convert::object(value, "config");
  const auto count = [&](const char* key) { return convert::count(config.Get(key), key, 1); };
  const auto range = convert::array(config.Get("logvarRange"), "logvarRange");
  const int64_t image = count("imageSize");
  const int64_t patch = count("patchSize");
  if (image % patch != 0) {
    convert::invalid(value.Env(), "patchSize", "a divisor of imageSize");
  }
  return {
      .image = image,
      .patch = patch,
      .tokens = count("latentTokens"),
      .channels = count("latentChannels"),
      .bottleneck = choice<Bottleneck>(
          config.Get("bottleneck"), "bottleneck",
          {{"kl", Bottleneck::kl}, {"ae", Bottleneck::ae}, {"softvq", Bottleneck::softvq}}),
      .logvar_min = convert::number(range.Get(0U), "logvarRange"),
      .logvar_max = convert::number(range.Get(1U), "logvarRange"),
      .softvq = softvq_options(config.Get("softvq")),
      .encoder = vit_options(config.Get("encoder"), "encoder", patch, image / patch),
      .decoder = vit_options(config.Get("decoder"), "decoder", patch, image / patch),
      .prune = convert::boolean(config.Get("prune"), "prune"),
      .checkpointing = convert::boolean(config.Get("checkpointing"), "checkpointing"),
  };
}

Napi::Value create(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto options = tokenizer_options(info[0]);
    const auto device = parse_device(convert::string(info[1], "device"));
    const auto seed =
        info[2].IsNull() ? std::nullopt : std::optional(convert::index(info[2], "seed"));
    return run(
        info.Env(), device,
        [options, device, seed] {
          auto model = std::make_shared<Tokenizer>(options);
          if (seed) initialize(*model, *seed);
          model->to(device);
          return model;
        },
        [](Napi::Env env, const std::shared_ptr<Tokenizer>& model) {
          return TokenizerHandle::wrap(env, model);
        });
  });
}

/** One index per row. */
std::vector<uint64_t> sample_indices(const Napi::Value& value, const std::string& name,
                                     int64_t rows) {
  const auto list = convert::array(value, name);
  if (list.Length() != rows) {
    convert::invalid(value.Env(), name, std::to_string(rows) + " indices, one per image");
  }
  std::vector<uint64_t> result;
  for (uint32_t i = 0; i < list.Length(); ++i) {
    result.push_back(convert::index(list.Get(i), name));
  }
  return result;
}

/** Draws from the posterior; the noise of row i is that of sample `indices[i]`. */
at::Tensor draw_latents(const Posterior& posterior, uint64_t seed,
                        const std::vector<uint64_t>& indices) {
  const auto& mean = posterior.mean;  // [B, L, Z]
  const auto noise = random::normal(seed, "encode", 0, indices, mean.size(1) * mean.size(2));
  return posterior.sample(noise.to(mean.device()));
}

}  // namespace

void TokenizerHandle::define(Napi::Env env, Napi::Object exports) {
  define_class(env, {
                        InstanceMethod<&TokenizerHandle::encode>("encode"),
                        InstanceMethod<&TokenizerHandle::posterior>("posterior"),
                        InstanceMethod<&TokenizerHandle::decode>("decode"),
                    });
  exports.Set("createTokenizer", Napi::Function::New(env, create, "createTokenizer"));
}

Napi::Value TokenizerHandle::encode(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto model = alive(info.Env());
    const auto device = module_device(*model);
    const auto images = TensorHandle::unwrap(info[0], "images");
    const auto mask = TensorHandle::unwrap_optional(info[1], "mask");
    const auto options = convert::object(info[2], "options");
    const auto precision = convert::precision(options.Get("precision"), "precision");
    const auto sample = convert::boolean(options.Get("sample"), "sample");
    const auto seed = convert::index(options.Get("seed"), "seed");
    const auto indices = sample ? sample_indices(options.Get("indices"), "indices", images.size(0))
                                : std::vector<uint64_t>();
    return run(
        info.Env(), device,
        [=] {
          const Autocast autocast(device.type(), precision);
          const auto posterior =
              model->encode(to_network_images(images, device),
                            mask.defined() ? mask.to(device, at::kBool) : at::Tensor());
          return sample ? draw_latents(posterior, seed, indices) : own_memory(posterior.mean);
        },
        [](Napi::Env env, const at::Tensor& latents) { return TensorHandle::wrap(env, latents); });
  });
}

Napi::Value TokenizerHandle::posterior(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto model = alive(info.Env());
    const auto device = module_device(*model);
    const auto images = TensorHandle::unwrap(info[0], "images");
    const auto precision = convert::precision(info[1], "precision");
    return run(
        info.Env(), device,
        [=] {
          const Autocast autocast(device.type(), precision);
          const auto posterior = model->encode(to_network_images(images, device), {});
          return Posterior{
              .mean = own_memory(posterior.mean),
              .logvar = posterior.logvar.defined() ? own_memory(posterior.logvar) : at::Tensor()};
        },
        [](Napi::Env env, const Posterior& posterior) -> Napi::Value {
          auto result = Napi::Object::New(env);
          result.Set("mean", TensorHandle::wrap(env, posterior.mean));
          result.Set("logvar", posterior.logvar.defined()
                                   ? TensorHandle::wrap(env, posterior.logvar)
                                   : env.Null());
          return result;
        });
  });
}

Napi::Value TokenizerHandle::decode(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto model = alive(info.Env());
    const auto device = module_device(*model);
    const auto latents = TensorHandle::unwrap(info[0], "latents");
    const auto precision = convert::precision(info[1], "precision");
    return run(
        info.Env(), device,
        [=] {
          const Autocast autocast(device.type(), precision);
          return model->decode(latents.to(device, at::kFloat)).to(at::kFloat);
        },
        [](Napi::Env env, const at::Tensor& images) { return TensorHandle::wrap(env, images); });
  });
}

}  // namespace mactok
