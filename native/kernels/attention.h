#pragma once

#include "runtime/torch.h"

namespace mactok::kernels {

/**
 * Multi-head attention of bfloat16 or float32 tokens by batched products, [B, K, D]. qkv: [B, T,
 * 3D], then K = T; or q [B, K, D] and kv [B, T, 2D]. Heads are split, scaled and joined in one pass
 * each way, straight into the layout of qkv and its gradient.
 */
at::Tensor attention(const at::Tensor& qkv, int64_t heads);
at::Tensor attention(const at::Tensor& q, const at::Tensor& kv, int64_t heads);

}  // namespace mactok::kernels
