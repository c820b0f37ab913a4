#pragma once

#include "runtime/torch.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "nn/layer_norm.h"
#include "nn/mlp.h"
#include "nn/transformer.h"

namespace mactok {

enum class Positions {
  learned,  ///< learned absolute positions on the patches (and on `cls`, unless there are registers)
  rope,  ///< mixed rotary positions on the patches; MAETok's encoder keeps the learned ones beside them
};

struct VitOptions {
  int64_t grid;   ///< patches a side
  int64_t patch;  ///< pixels a side of a patch
  int64_t width, depth, heads;
  double
      mlp_ratio;  ///< fc1's width over the token width (5.33334 for DINOv2-g, as timm counts SwiGLU)
  Mlp mlp;
  bool layer_scale;
  double layer_scale_init;
  bool cls;
  int64_t registers;
  Positions positions;
  double rope_theta;
  double norm_eps;
};

/**
 * What every vision transformer here shares, with timm's parameter names: `cls_token` [1, 1, D], `reg_token` [1, R, D],
 * `pos_embed` [1, N, D] (one more, the first, where `cls` has a position), `rope_freqs` [2, depth, D/2], `blocks.i.*` and `norm.*`.
 * It prescribes no order of the tokens: the models that derive from it put theirs together.
 */
class Vit : public torch::nn::Module {
 public:
  /** learned_positions: whether there is a `pos_embed`. */
  Vit(const VitOptions& options, bool learned_positions);

  const VitOptions& options() const { return options_; }

  /** N, the number of patches. */
  int64_t patches() const { return options_.grid * options_.grid; }

  /** P, the number of prefix tokens: `cls` and registers. */
  int64_t prefix() const { return (options_.cls ? 1 : 0) + options_.registers; }

  /** Compute only the tokens that are asked for in the last block. Same numbers, less work. */
  void set_pruning(bool enabled) { pruning_ = enabled; }

  /** Recompute each block in the backward pass instead of keeping its activations. Same gradients. */
  void set_checkpointing(bool enabled) { checkpointing_ = enabled; }

 protected:
  /** `cls` (with its position) and the registers: [batch, P, D], a view without copies; P may be 0. */
  at::Tensor prefix_tokens(int64_t batch) const;

  /** Adds the learned positions, if any: x [B or 1, N, D]. */
  at::Tensor add_positions(const at::Tensor& x) const;

  /**
   * Blocks and final norm. x: [B, T, D] -> its first `keep` tokens, float32 [B, keep, D].
   * first_patch: where the N patches begin among the tokens.
   */
  at::Tensor transform(at::Tensor x, int64_t first_patch, int64_t keep) const;

  /** Tokens [B, T, D] as they enter block 0 and as they leave each block of `after` (ascending); no norm, no block past the last. */
  std::vector<at::Tensor> hidden_states(at::Tensor x, int64_t first_patch,
                                        const std::vector<int64_t>& after) const;

 private:
  at::Tensor run_block(size_t index, const at::Tensor& x, int64_t first_patch, int64_t keep) const;
  bool cls_has_position() const { return options_.cls && options_.registers == 0; }

  VitOptions options_;
  at::Tensor cls_token_, reg_token_, pos_embed_, rope_freqs_;
  std::vector<std::shared_ptr<Block>> blocks_;
  std::shared_ptr<LayerNorm> norm_;
  bool pruning_ = false, checkpointing_ = false;
};

/**
 * Initial values of every parameter of `vit` (its descendants' included), named `prefix` + its own name:
 * linear layers, tokens and positions N(0, .02²), biases 0, norms 1 and 0, LayerScale its configured value, the patch embedding
 * U(±1/√(3p²)) and `cls` and registers N(0, 1e-6²) as timm's ViT, RoPE by rope::initial_frequencies.
 */
void initialize(Vit& vit, const std::string& prefix, uint64_t seed);

}  // namespace mactok
