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
  /** Learned absolute positions of the patches (and of `cls`, unless there are registers). */
  learned,
  /** Mixed rotary positions of the patches; MAETok's encoder also keeps the learned ones. */
  rope,
};

struct VitOptions {
  /** Patches per side. */
  int64_t grid;
  /** Side of a patch in pixels. */
  int64_t patch;
  int64_t width, depth, heads;
  /** fc1's width over the token width (5.33334 for DINOv2-g, as timm counts SwiGLU). */
  double mlp_ratio;
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
 * What all vision transformers here share, with timm's parameter names: `cls_token` [1, 1, D],
 * `reg_token` [1, R, D], `pos_embed` [1, N, D] (with one more at the front where `cls` has a
 * position), `rope_freqs` [2, depth, D/2], `blocks.i.*` and `norm.*`. Derived models choose the
 * order of the tokens.
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

  /** Compute only the requested tokens in the last block. The results are the same. */
  void set_pruning(bool enabled) { pruning_ = enabled; }

  /**
   * Recompute each block in the backward pass instead of keeping its activations. The gradients are
   * the same.
   */
  void set_checkpointing(bool enabled) { checkpointing_ = enabled; }

 protected:
  /**
   * `cls` (with its position) and the registers, [batch, P, D]; expanded, not copied. P may be 0.
   */
  at::Tensor prefix_tokens(int64_t batch) const;

  /** Adds the learned positions, if any: x [B or 1, N, D]. */
  at::Tensor add_positions(const at::Tensor& x) const;

  /**
   * Blocks and final norm. x: [B, T, D] -> its first `keep` tokens, float32 [B, keep, D].
   * first_patch: where the N patches begin among the tokens.
   */
  at::Tensor transform(at::Tensor x, int64_t first_patch, int64_t keep) const;

  /**
   * Tokens [B, T, D] before block 0 and after each block of `after` (ascending), without the norm.
   * Later blocks are not computed.
   */
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
 * Initialises every parameter of `vit` by the name `prefix` + its own: linear layers, tokens and
 * positions N(0, .02²), biases 0, norms 1 and 0, LayerScale its configured value, the patch
 * embedding U(±1/√(3p²)) and `cls` and registers N(0, 1e-6²) as timm's ViT, RoPE by
 * rope::initial_frequencies.
 */
void initialize(Vit& vit, const std::string& prefix, uint64_t seed);

}  // namespace mactok
