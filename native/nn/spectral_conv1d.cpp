#include "nn/spectral_conv1d.h"

#include <c10/core/impl/LocalDispatchKeySet.h>

#include "nn/linear.h"

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
  const int64_t kernel = weight_orig.size(2), margin = kernel / 2, tokens = x.size(1);
  const auto weight = normalized_weight();
  if (kernel == 1) return linear(x, weight.flatten(1), bias);
  TORCH_CHECK(tokens >= margin, "spectral convolution: a kernel of ", kernel, " on ", tokens,
              " tokens");
  // As one product of windows: oneDNN's own convolution takes up to twice as long in bfloat16.
  const auto padded = at::cat({x.narrow(1, tokens - margin, margin), x, x.narrow(1, 0, margin)}, 1);
  std::vector<at::Tensor> shifted;
  for (int64_t k = 0; k < kernel; ++k) shifted.push_back(padded.narrow(1, k, tokens));
  return linear(at::cat(shifted, 2), weight.transpose(1, 2).flatten(1), bias);  // [B, N, O]
}

}  // namespace mactok
