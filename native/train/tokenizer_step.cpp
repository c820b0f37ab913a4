#include "train/tokenizer_step.h"

#include <optional>

#include "losses/kl.h"
#include "losses/reconstruction.h"
#include "runtime/random.h"

namespace mactok {
namespace {

NamedTensors trained_parameters(const Tokenizer& tokenizer, const AlignmentHeads* heads) {
  auto parameters = named_parameters(tokenizer);
  if (heads != nullptr) {
    for (auto& [name, parameter] : named_parameters(*heads)) {
      parameters.emplace_back("alignment." + name, parameter);
    }
  }
  return parameters;
}

std::vector<at::Tensor> values(const NamedTensors& named) {
  std::vector<at::Tensor> result;
  for (const auto& [name, tensor] : named) result.push_back(tensor.detach());
  return result;
}

std::shared_ptr<AlignmentHeads> make_heads(const TokenizerStepOptions& options, at::Device device) {
  if (!options.alignment.local && !options.alignment.global) return nullptr;
  auto heads = std::make_shared<AlignmentHeads>(options.alignment);
  initialize(*heads, options.seed);
  heads->to(device);
  return heads;
}

at::Tensor psnr(const at::Tensor& prediction, const at::Tensor& images) {
  const auto error = (prediction.clamp(-1, 1) - images).square().mean({1, 2, 3});  // [B]
  return (10.0 * (4.0 / error.clamp_min(1e-10)).log10()).mean();
}

}  // namespace

at::Tensor to_network_images(const at::Tensor& images, at::Device device) {
  const auto moved = images.to(device, /*non_blocking=*/true);
  if (moved.scalar_type() != at::kByte) return moved;
  return moved.permute({0, 3, 1, 2}).to(at::kFloat, false, false, at::MemoryFormat::Contiguous)
      .div_(127.5)
      .sub_(1.0);
}

NamedTensors named_parameters(const torch::nn::Module& module) {
  NamedTensors result;
  for (const auto& item : module.named_parameters()) result.emplace_back(item.key(), item.value());
  return result;
}

TokenizerStep::TokenizerStep(std::shared_ptr<Tokenizer> tokenizer, std::shared_ptr<Tokenizer> ema,
                             std::shared_ptr<Teacher> teacher, TokenizerStepOptions options)
    : options_(std::move(options)),
      tokenizer_(std::move(tokenizer)),
      ema_model_(std::move(ema)),
      teacher_(std::move(teacher)),
      heads_(make_heads(options_, tokenizer_->parameters().at(0).device())),
      parameters_(trained_parameters(*tokenizer_, heads_.get())),
      optimizer_(options_.optimizer, parameters_),
      ema_(options_.ema, values(named_parameters(*tokenizer_)), values(named_parameters(*ema_model_))) {
  for (auto& [name, parameter] : parameters_) parameter.set_requires_grad(true);
  for (auto& parameter : ema_model_->parameters()) parameter.set_requires_grad(false);
  if (heads_ && !teacher_) throw std::invalid_argument("Alignment needs a teacher");
}

at::Tensor TokenizerStep::loss(const at::Tensor& images, const StepSchedule& schedule,
                               uint64_t first_index, double share) {
  const auto& shape = tokenizer_->options();
  const auto device = images.device();
  const int64_t batch = images.size(0);
  const int64_t grid = shape.image / shape.patch;
  const auto& masking = options_.masking;
  const bool semantic = masking.target == "image" && masking.semantic > 0;

  std::optional<Features> features;
  if (teacher_ && (heads_ || semantic)) features = teacher_->features(images);

  at::Tensor mask;  // bool [B, N]
  if (masking.target == "image") {
    const auto scores = semantic && features ? semantic_scores(*features, grid) : at::Tensor();
    mask = image_mask(masking, scores, options_.seed, schedule.step, first_index, batch, grid * grid,
                      device);
    meter_.add("maskRatio", mask.to(at::kFloat).mean(), share);
  }

  const auto posterior = tokenizer_->encode(images, mask);  // mean, logvar [B, L, Z]
  auto latents = posterior.mean;
  auto kl = at::zeros({}, latents.options().dtype(at::kFloat));
  if (posterior.logvar.defined()) {
    const auto noise = random::normal(options_.seed, "posterior", schedule.step, first_index, batch,
                                      latents.size(1) * latents.size(2));
    latents = posterior.mean + (0.5 * posterior.logvar).exp() * noise.to(device).view_as(latents);
    kl = kl_divergence(posterior).mean();
  }

  auto decoded = latents;
  if (masking.target == "latent") {
    const auto dropped = image_mask(masking, {}, options_.seed, schedule.step, first_index, batch,
                                    latents.size(1), device);  // [B, L]
    decoded = latents.masked_fill(dropped.unsqueeze(-1), 0.0);
    meter_.add("maskRatio", dropped.to(at::kFloat).mean(), share);
  }
  const auto prediction = tokenizer_->decode(decoded).to(at::kFloat);  // [B, 3, H, W]

  const auto reconstruction = reconstruction_loss(prediction, images, options_.reconstruction);
  auto total = schedule.reconstruction_weight * reconstruction + schedule.kl_weight * kl;
  if (heads_) {
    const auto& aligned = options_.align_on_mean ? posterior.mean : latents;
    if (options_.alignment.local) {
      const auto cosine = heads_->local_cosine(aligned, features->patches);
      total = total - schedule.alignment_weight * cosine;
      meter_.add("alignLocal", cosine, share);
    }
    if (options_.alignment.global) {
      const auto cosine = heads_->global_cosine(aligned, features->cls);
      total = total - schedule.alignment_weight * cosine;
      meter_.add("alignGlobal", cosine, share);
    }
  }

  const at::NoGradGuard no_grad;
  meter_.add("total", total, share);
  meter_.add("reconstruction", reconstruction, share);
  meter_.add("kl", kl, share);
  meter_.add("psnr", psnr(prediction, images), share);
  meter_.add("activeUnits",
             (posterior.mean.var(0, /*unbiased=*/false) > 0.01).to(at::kFloat).mean(), share);
  return total;
}

void TokenizerStep::backward(const std::vector<at::Tensor>& micro_batches,
                             const StepSchedule& schedule) {
  const at::AutoGradMode with_grad(true);
  const auto device = parameters_.at(0).second.device();
  int64_t batch = 0;
  for (const auto& images : micro_batches) batch += images.size(0);
  const Autocast autocast(device.type(), options_.precision);
  const Meter kept = meter_;
  uint64_t first_index = 0;
  try {
    for (const auto& images : micro_batches) {
      const double share = static_cast<double>(images.size(0)) / static_cast<double>(batch);
      const auto total = loss(to_network_images(images, device), schedule, first_index, share);
      (total * share).backward();
      first_index += static_cast<uint64_t>(images.size(0));
    }
  } catch (...) {  // a failed step leaves neither gradients nor metrics behind
    optimizer_.zero_grad();
    meter_ = kept;
    throw;
  }
}

void TokenizerStep::step(const std::vector<at::Tensor>& micro_batches, const StepSchedule& schedule) {
  backward(micro_batches, schedule);
  const auto outcome = optimizer_.step(schedule.lr);
  optimizer_.zero_grad();
  ema_.update(outcome.skipped);
  meter_.add("gradNorm", outcome.norm);
  meter_.add("skipped", outcome.skipped);
  meter_.end_step();
}

NamedTensors TokenizerStep::gradients(const std::vector<at::Tensor>& micro_batches,
                                      const StepSchedule& schedule) {
  const Meter kept = meter_;
  backward(micro_batches, schedule);
  meter_ = kept;
  NamedTensors result;
  for (const auto& [name, parameter] : parameters_) {
    result.emplace_back(name, parameter.grad().defined() ? parameter.grad().clone()
                                                         : at::zeros_like(parameter));
  }
  optimizer_.zero_grad();
  return result;
}

std::map<std::string, NamedTensors> TokenizerStep::state() const {
  auto optimizer = optimizer_.state();
  optimizer.emplace_back("ema_updates", ema_.updates());
  return {{"model", named_parameters(*tokenizer_)},
          {"ema", named_parameters(*ema_model_)},
          {"alignment", heads_ ? named_parameters(*heads_) : NamedTensors{}},
          {"optimizer", optimizer}};
}

}  // namespace mactok
