#include "nn/spectral_conv1d.h"

#include <c10/core/impl/LocalDispatchKeySet.h>

#include "nn/linear.h"
#include "runtime/autocast.h"

namespace mactok {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

at::Tensor unit(const at::Tensor& x) { return x / x.norm().clamp_min(1e-12); }

/**
 * matrix [O, M] ÷ σ, σ = uᵀ·matrix·v. The gradient is (G − ⟨G, matrix/σ⟩·u·vᵀ) ÷ σ in three passes,
 * where autograd takes nine.
 */
struct Normalized : torch::autograd::Function<Normalized> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& matrix, const at::Tensor& u,
                            const at::Tensor& v) {
    const auto sigma = u.dot(matrix.mv(v));
    const auto out = matrix / sigma;
    context->save_for_backward({out, u, v, sigma});
    return out;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const auto &out = saved[0], &u = saved[1], &v = saved[2], &sigma = saved[3];
    const auto& gradient = gradients[0];
    const auto along = gradient.flatten().dot(out.flatten());
    return {at::addr(gradient, u, v * -along).div_(sigma), at::Tensor(), at::Tensor()};
  }
};

/**
 * The `kernel` tokens around each token, with circular padding: [B, N, C] -> [B, N, kernel·C]. One
 * node, because each slice would allocate its own gradient.
 */
struct Windows : torch::autograd::Function<Windows> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, int64_t kernel) {
    context->saved_data["kernel"] = kernel;
    const int64_t margin = kernel / 2, tokens = x.size(1);
    const auto padded =
        at::cat({x.narrow(1, tokens - margin, margin), x, x.narrow(1, 0, margin)}, 1);
    std::vector<at::Tensor> shifted;
    for (int64_t k = 0; k < kernel; ++k) shifted.push_back(padded.narrow(1, k, tokens));
    return at::cat(shifted, 2);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const int64_t kernel = context->saved_data["kernel"].toInt(), margin = kernel / 2;
    const auto shifted = gradients[0].chunk(kernel, 2);
    const int64_t tokens = shifted[0].size(1);
    // [B, N + 2·margin, C], in float32: bfloat16 would lose digits of the sum.
    auto padded = at::constant_pad_nd(shifted[0].to(at::kFloat), {0, 0, 0, 2 * margin});
    for (int64_t k = 1; k < kernel; ++k) padded.narrow(1, k, tokens).add_(shifted[k]);
    auto dx = padded.narrow(1, margin, tokens).contiguous();
    dx.narrow(1, tokens - margin, margin).add_(padded.narrow(1, 0, margin));
    dx.narrow(1, 0, margin).add_(padded.narrow(1, margin + tokens, margin));
    return {dx, at::Tensor()};
  }
};

/**
 * The same product of windows by cuDNN's convolution, which keeps no windows: x [B, N, I], matrix
 * [O, k·I] -> [B, N, O]. The views are channels-last images of one row.
 */
at::Tensor convolve(const at::Tensor& x, const at::Tensor& matrix, const at::Tensor& bias,
                    int64_t kernel) {
  const int64_t margin = kernel / 2, tokens = x.size(1);
  const auto padded = at::cat({x.narrow(1, tokens - margin, margin), x, x.narrow(1, 0, margin)}, 1);
  const auto row = padded.unsqueeze(1).permute({0, 3, 1, 2});  // [B, I, 1, N + 2·margin]
  const auto weight =
      matrix.view({matrix.size(0), 1, kernel, -1}).permute({0, 3, 1, 2});  // [O, I, 1, k]
  return at::conv2d(row, weight, bias).permute({0, 2, 3, 1}).squeeze(1);
}

/** Casts to the dtype of products, so that windows take the least memory. */
at::Tensor cast_for_product(const at::Tensor& x) {
  const bool narrow = Autocast::current(x.device().type()) == Precision::bf16;
  return narrow ? x.to(at::kBFloat16) : x;
}

/** Transposes a flattened matrix: [A·B] -> [B·A]. */
at::Tensor transpose_flat(const at::Tensor& x, int64_t first) {
  return x.view({first, -1}).t().flatten();
}

}  // namespace

SpectralConv1d::SpectralConv1d(int64_t inputs, int64_t outputs, int64_t kernel)
    : weight_orig(register_parameter("weight_orig", at::empty({outputs, inputs, kernel}))),
      bias(register_parameter("bias", at::empty({outputs}))),
      weight_u(register_buffer("weight_u", at::empty({outputs}))),
      weight_v(register_buffer("weight_v", at::empty({inputs * kernel}))) {
  TORCH_CHECK(kernel % 2 == 1, "spectral convolution: expected an odd kernel but received ",
              kernel);
}

at::Tensor SpectralConv1d::normalized_matrix() {
  const c10::impl::ExcludeDispatchKeyGuard no_autocast(c10::autocast_dispatch_keyset);
  const int64_t inputs = weight_orig.size(1), kernel = weight_orig.size(2);
  const auto matrix = weight_orig.transpose(1, 2).flatten(1);  // [O, k·I]
  // New tensors, not the buffers, whose values an earlier call's gradient still needs.
  auto u = weight_u, v = transpose_flat(weight_v, inputs);
  if (is_training()) {
    const at::NoGradGuard no_grad;
    v = unit(matrix.t().mv(u));
    u = unit(matrix.mv(v));
    weight_u.copy_(u);
    weight_v.copy_(transpose_flat(v, kernel));
  }
  return Normalized::apply(matrix, u, v);
}

at::Tensor SpectralConv1d::forward(const at::Tensor& x) {
  const int64_t kernel = weight_orig.size(2), tokens = x.size(1);
  TORCH_CHECK(tokens >= kernel / 2, "spectral convolution: expected at least ", kernel / 2,
              " tokens but received ", tokens);
  const auto matrix = normalized_matrix();
  if (kernel == 1) return linear(x, matrix, bias);
  if (x.is_cuda()) return convolve(cast_for_product(x), matrix, bias, kernel);
  // One product of windows: oneDNN's convolution takes up to twice as long in bfloat16.
  return linear(Windows::apply(cast_for_product(x), kernel), matrix, bias);
}

}  // namespace mactok
