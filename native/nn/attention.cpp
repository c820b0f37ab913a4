#include "nn/attention.h"

#include <cmath>

#include "kernels/attention.h"
#include "kernels/chunks.h"
#include "nn/checkpoint.h"
#include "nn/rope.h"

namespace mactok {
namespace {

/** Whether a backward pass follows, now or when a checkpoint runs again. */
bool needs_backward(const at::Tensor& x) {
  return (at::GradMode::is_enabled() && x.requires_grad()) || in_checkpoint();
}

/**
 * [B, T, parts·width] -> `parts` views [B, heads, T, d], by one unbind, so that the gradient is a
 * single stack.
 */
std::vector<at::Tensor> split_heads(const at::Tensor& x, int64_t parts, int64_t heads) {
  auto split = x.unflatten(-1, {parts, heads, -1}).unbind(2);  // [B, T, heads, d] each
  for (auto& part : split) part = part.transpose(1, 2);
  return split;
}

/**
 * softmax(q·kᵀ/√d)·v, [B, heads, keep, d]. On a CPU in bfloat16 with a backward pass it is two
 * batched products: the backward pass of LibTorch's fused kernel takes two to six times as long as
 * both of theirs (docs/benchmarks.md). The softmax still sums in float32.
 */
at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  if (!q.device().is_cpu() || q.scalar_type() != at::kBFloat16 || !needs_backward(q)) {
    return at::scaled_dot_product_attention(q, k, v);
  }
  const double scale = 1.0 / std::sqrt(static_cast<double>(q.size(-1)));
  return at::softmax(at::matmul(q * scale, k.transpose(-2, -1)), -1).matmul(v);
}

}  // namespace

Attention::Attention(int64_t width, int64_t heads, bool qk_norm)
    : width_(width),
      heads_(heads),
      qkv_(register_module("qkv", std::make_shared<Linear>(width, 3 * width))),
      proj_(register_module("proj", std::make_shared<Linear>(width, width))) {
  TORCH_CHECK(width % heads == 0, "attention: expected a multiple of ", heads,
              " heads as width but received ", width);
  if (qk_norm) {
    q_norm_ = register_module("q_norm", std::make_shared<RmsNorm>(width / heads, 1e-6));
    k_norm_ = register_module("k_norm", std::make_shared<RmsNorm>(width / heads, 1e-6));
  }
}

at::Tensor Attention::forward(const at::Tensor& x, int64_t keep, const at::Tensor& rotation) const {
  at::Tensor qkv, kv;  // [B, T, 3·width], or [B, keep, width] and [B, T, 2·width]
  const bool all = keep == x.size(1);
  if (all) {
    qkv = qkv_->forward(x);
  } else {
    kv = qkv_->forward_part(x, width_, 2 * width_);
    qkv = qkv_->forward_part(x.narrow(1, 0, keep), 0, width_);
  }
  if (needs_backward(qkv) && kernels::supports(x) && !q_norm_ && !rotation.defined()) {
    return proj_->forward(all ? kernels::attention(qkv, heads_)
                              : kernels::attention(qkv, kv, heads_));
  }
  auto parts = split_heads(qkv, all ? 3 : 1, heads_);
  if (!all) {
    for (const auto& part : split_heads(kv, 2, heads_)) parts.push_back(part);
  }
  auto q = parts[0], k = parts[1];  // [B, heads, keep or T, d]
  const auto v = parts[2];
  if (q_norm_) {
    q = q_norm_->forward(q).to(v.scalar_type());
    k = k_norm_->forward(k).to(v.scalar_type());
  }
  if (rotation.defined()) {
    q = rope::rotate(q, rotation.narrow(1, 0, keep));
    k = rope::rotate(k, rotation);
  }
  return proj_->forward(attend(q, k, v).transpose(1, 2).flatten(2));
}

}  // namespace mactok
