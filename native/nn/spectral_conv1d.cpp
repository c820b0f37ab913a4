#include "nn/spectral_conv1d.h"

#include <c10/core/impl/LocalDispatchKeySet.h>

namespace mactok {
namespace {

at::Tensor unit(const at::Tensor& x) { return x / x.norm().clamp_min(1e-12); }

}  // namespace

SpectralConv1d::SpectralConv1d(int64_t inputs, int64_t outputs, int64_t kernel)
    : weight_orig(register_parameter("weight_orig", at::empty({outputs, inputs, kernel}))),
      bias(register_parameter("bias", at::empty({outputs}))),
      weight_u(register_buffer("weight_u", at::empty({outputs}))),
      weight_v(register_buffer("weight_v", at::empty({inputs * kernel}))) {
  TORCH_CHECK(kernel % 2 == 1, "spectral convolution: expected an odd kernel but received ",
              kernel);
}

at::Tensor SpectralConv1d::normalized_weight() {
  const c10::impl::ExcludeDispatchKeyGuard no_autocast(c10::autocast_dispatch_keyset);
  const auto matrix = weight_orig.flatten(1);  // [O, I·k]
  // New tensors, not the buffers: the gradient of an earlier call still needs the values that it was made with.
  auto u = weight_u, v = weight_v;
  if (is_training()) {
    const at::NoGradGuard no_grad;
    v = unit(matrix.t().mv(u));
    u = unit(matrix.mv(v));
    weight_u.copy_(u);
    weight_v.copy_(v);
  }
  return weight_orig / u.dot(matrix.mv(v));
}

at::Tensor SpectralConv1d::forward(const at::Tensor& x) {
  const int64_t kernel = weight_orig.size(2), margin = kernel / 2;
  const auto padded = margin > 0 ? at::pad(x, {margin, margin}, "circular") : x;
  // As a matrix product: oneDNN's bfloat16 convolution of these shapes takes ten times as long, most of it backwards.
  const auto windows = padded.unfold(2, kernel, 1).permute({0, 2, 1, 3}).flatten(2);  // [B, N, I·k]
  return at::linear(windows, normalized_weight().flatten(1), bias).transpose(1, 2);   // [B, O, N]
}

}  // namespace mactok
