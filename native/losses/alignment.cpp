#include "losses/alignment.h"

#include <cmath>

#include "nn/initialize.h"

namespace mactok {
namespace {

/** x scaled to unit length along the last dimension, in float32. */
at::Tensor unit(const at::Tensor& x) {
  const auto y = x.to(at::kFloat);
  return y / at::linalg_vector_norm(y, 2, {-1}, /*keepdim=*/true).clamp_min(1e-12);
}

}  // namespace

AlignmentHead::AlignmentHead(const AlignmentOptions& options) {
  const auto add = [this](const char* name, int64_t inputs, int64_t outputs) {
    layers_.push_back(register_module(name, std::make_shared<Linear>(inputs, outputs)));
  };
  add("0", options.channels, options.hidden);
  add("2", options.hidden, options.hidden);
  add("4", options.hidden, options.teacher_width);
}

at::Tensor AlignmentHead::forward(const at::Tensor& latents) const {
  const auto x = at::silu(layers_[0]->forward(latents));
  return layers_[2]->forward(at::silu(layers_[1]->forward(x)));
}

AlignmentHeads::AlignmentHeads(const AlignmentOptions& options) {
  const auto add = [&](const char* name) {
    return register_module(name, std::make_shared<AlignmentHead>(options));
  };
  if (options.shared && (options.local || options.global)) {
    local_ = global_ = add("shared");
  } else {
    if (options.local) local_ = add("local");
    if (options.global) global_ = add("global");
  }
}

at::Tensor AlignmentHeads::local_cosine(const at::Tensor& latents,
                                        const at::Tensor& patches) const {
  TORCH_CHECK(local_, "local alignment is off");
  const int64_t tokens = latents.size(1), count = patches.size(1);
  auto result = local_->forward(latents).to(at::kFloat);  // [B, L, D]
  auto target = unit(patches);                            // [B, N, D]
  if (count % tokens == 0) {
    // The cosine is linear in the unit target: summing a latent's targets replaces repeating it.
    target = target.unflatten(1, {tokens, -1}).sum(2);  // [B, L, D]
  } else {
    result = at::upsample_linear1d(result.transpose(1, 2), {count}, false).transpose(1, 2);
  }
  return (unit(result) * target).sum() / static_cast<double>(patches.size(0) * count);
}

at::Tensor AlignmentHeads::global_cosine(const at::Tensor& latents, const at::Tensor& cls) const {
  TORCH_CHECK(global_, "global alignment is off");
  const auto result = global_->forward(latents.mean(1));  // [B, D]
  return (unit(result) * unit(cls)).sum(-1).mean();
}

void initialize(AlignmentHeads& heads, uint64_t seed) {
  for (const auto& child : heads.named_modules("alignment", /*include_self=*/false)) {
    if (const auto* linear = child.value()->as<Linear>()) {
      const double bound = 1 / std::sqrt(static_cast<double>(linear->weight.size(1)));
      init::uniform(linear->weight, seed, child.key() + ".weight", bound);
      init::uniform(linear->bias, seed, child.key() + ".bias", bound);
    }
  }
}

std::shared_ptr<AlignmentHeads> make_alignment_heads(const AlignmentOptions& options, uint64_t seed,
                                                     at::Device device) {
  if (!options.local && !options.global) return nullptr;
  auto heads = std::make_shared<AlignmentHeads>(options);
  initialize(*heads, seed);
  heads->to(device);
  return heads;
}

}  // namespace mactok
