#include "nn/transformer.h"

namespace mactok {

at::Tensor leading_tokens(const at::Tensor& x, int64_t count) {
  return count == x.size(1) ? x : x.narrow(1, 0, count);
}

Block::Block(const BlockOptions& options)
    : norm1_(
          register_module("norm1", std::make_shared<LayerNorm>(options.width, options.norm_eps))),
      norm2_(
          register_module("norm2", std::make_shared<LayerNorm>(options.width, options.norm_eps))),
      attn_(register_module("attn", std::make_shared<Attention>(options.width, options.heads))),
      ls1_(
          register_module("ls1", std::make_shared<LayerScale>(options.width, options.layer_scale))),
      ls2_(
          register_module("ls2", std::make_shared<LayerScale>(options.width, options.layer_scale))),
      mlp_(register_module(
          "mlp", std::make_shared<MlpLayer>(options.width, options.mlp_hidden, options.mlp))) {}

at::Tensor Block::forward(const at::Tensor& x, int64_t keep, const at::Tensor& rotation) const {
  const auto y = ls1_->residual(leading_tokens(x, keep),
                                attn_->forward(norm1_->for_product(x), keep, rotation));
  return ls2_->residual(y, mlp_->forward(norm2_->for_product(y)));
}

}  // namespace mactok
