#pragma once

#include "runtime/torch.h"

#include <memory>

#include "nn/attention.h"
#include "nn/layer_norm.h"
#include "nn/layer_scale.h"
#include "nn/mlp.h"

namespace mactok {

struct BlockOptions {
  int64_t width, heads, mlp_hidden;
  Mlp mlp;
  bool layer_scale;
  double norm_eps;
};

/**
 * The first `count` tokens of x [B, T, width]. x itself where that is all of them: a view's
 * gradient costs a copy.
 */
at::Tensor leading_tokens(const at::Tensor& x, int64_t count);

/** A pre-norm transformer block with timm's parameter names: norm1, attn, ls1, norm2, mlp, ls2. */
class Block : public torch::nn::Module {
 public:
  explicit Block(const BlockOptions& options);

  /**
   * x: [B, T, width] -> its first `keep` tokens [B, keep, width]; the others are keys and values.
   */
  at::Tensor forward(const at::Tensor& x, int64_t keep, const at::Tensor& rotation = {}) const;

 private:
  std::shared_ptr<LayerNorm> norm1_, norm2_;
  std::shared_ptr<Attention> attn_;
  std::shared_ptr<LayerScale> ls1_, ls2_;
  std::shared_ptr<MlpLayer> mlp_;
};

}  // namespace mactok
