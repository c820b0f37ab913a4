#include "models/vit.h"

#include <cmath>
#include <string_view>

#include "nn/checkpoint.h"
#include "nn/initialize.h"
#include "nn/rope.h"

namespace mactok {

Vit::Vit(const VitOptions& options, bool learned_positions) : options_(options) {
  const int64_t width = options.width;
  if (options.cls) cls_token_ = register_parameter("cls_token", at::empty({1, 1, width}));
  if (options.registers > 0) {
    reg_token_ = register_parameter("reg_token", at::empty({1, options.registers, width}));
  }
  if (learned_positions) {
    const int64_t positions = patches() + (cls_has_position() ? 1 : 0);
    pos_embed_ = register_parameter("pos_embed", at::empty({1, positions, width}));
  }
  if (options.positions == Positions::rope) {
    TORCH_CHECK(width % (4 * options.heads) == 0,
                "rope: expected a multiple of 4 channels per head but received ", width,
                " channels in ", options.heads, " heads");
    rope_freqs_ = register_parameter("rope_freqs", at::empty({2, options.depth, width / 2}));
  }
  const BlockOptions block{
      .width = width,
      .heads = options.heads,
      // timm truncates, but a ratio inferred from a checkpoint may fall short by a rounding.
      .mlp_hidden = std::llround(static_cast<double>(width) * options.mlp_ratio),
      .mlp = options.mlp,
      .layer_scale = options.layer_scale,
      .norm_eps = options.norm_eps};
  const auto blocks = register_module("blocks", std::make_shared<torch::nn::Module>());
  for (int64_t i = 0; i < options.depth; ++i) {
    blocks_.push_back(blocks->register_module(std::to_string(i), std::make_shared<Block>(block)));
  }
  norm_ = register_module("norm", std::make_shared<LayerNorm>(width, options.norm_eps));
}

at::Tensor Vit::prefix_tokens(int64_t batch) const {
  std::vector<at::Tensor> tokens{norm_->weight.new_empty({1, 0, options_.width})};
  if (options_.cls) {
    const bool placed = pos_embed_.defined() && cls_has_position();
    tokens.push_back(placed ? cls_token_ + pos_embed_.narrow(1, 0, 1) : cls_token_);
  }
  if (reg_token_.defined()) tokens.push_back(reg_token_);
  return at::cat(tokens, 1).expand({batch, -1, -1});  // [B, P, D]
}

at::Tensor Vit::add_positions(const at::Tensor& x) const {
  return pos_embed_.defined() ? x + pos_embed_.slice(1, cls_has_position() ? 1 : 0) : x;
}

at::Tensor Vit::transform(at::Tensor x, int64_t first_patch, int64_t keep) const {
  for (size_t i = 0; i < blocks_.size(); ++i) {
    const bool pruned = pruning_ && i + 1 == blocks_.size();
    x = run_block(i, x, first_patch, pruned ? keep : x.size(1));
  }
  return norm_->forward(leading_tokens(x, keep));  // [B, keep, D]
}

std::vector<at::Tensor> Vit::hidden_states(at::Tensor x, int64_t first_patch,
                                           const std::vector<int64_t>& after) const {
  std::vector<at::Tensor> states{x};
  int64_t block = 0;
  for (const int64_t last : after) {
    TORCH_CHECK(last >= block && last < options_.depth,
                "hidden_states: expected ascending blocks below ", options_.depth, " but received ",
                after);
    for (; block <= last; ++block) {
      x = run_block(static_cast<size_t>(block), x, first_patch, x.size(1));
    }
    states.push_back(x);
  }
  return states;
}

at::Tensor Vit::run_block(size_t index, const at::Tensor& x, int64_t first_patch,
                          int64_t keep) const {
  const auto block = blocks_[index];
  const auto freqs = rope_freqs_;
  const auto run = [=, heads = options_.heads, grid = options_.grid](const at::Tensor& x) {
    if (!freqs.defined()) return block->forward(x, keep);
    const auto block_freqs = freqs.select(1, static_cast<int64_t>(index));
    return block->forward(x, keep,
                          rope::rotation(block_freqs, heads, grid, first_patch, x.size(1)));
  };
  if (!checkpointing_ || !at::GradMode::is_enabled()) return run(x);

  auto parameters = block->parameters();
  if (freqs.defined()) parameters.push_back(freqs);
  return checkpoint(run, x, parameters);
}

void initialize(Vit& vit, const std::string& prefix, uint64_t seed) {
  const VitOptions& options = vit.options();
  for (const auto& item : vit.named_parameters()) {
    const std::string_view key = item.key();
    const std::string name = prefix + item.key();
    const at::Tensor& parameter = item.value();
    if (key == "rope_freqs") {
      init::assign(parameter,
                   rope::initial_frequencies(seed, name, options.depth, options.heads,
                                             options.width / options.heads, options.rope_theta));
    } else if (key.starts_with("patch_embed.")) {
      const double inputs = 3.0 * static_cast<double>(options.patch * options.patch);
      init::uniform(parameter, seed, name, 1 / std::sqrt(inputs));
    } else if (key == "cls_token" || key == "reg_token") {
      init::normal(parameter, seed, name, 1e-6);
    } else if (key.ends_with(".gamma")) {
      init::constant(parameter, options.layer_scale_init);
    } else if (key.ends_with(".bias")) {
      init::constant(parameter, 0);
    } else if (parameter.dim() == 1) {
      // A norm's weight.
      init::constant(parameter, 1);
    } else {
      init::normal(parameter, seed, name, .02);
    }
  }
}

}  // namespace mactok
