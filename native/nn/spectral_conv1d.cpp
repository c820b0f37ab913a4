#include "nn/spectral_conv1d.h"

#include <c10/core/impl/LocalDispatchKeySet.h>

#include <array>

#include "nn/linear.h"
#include "runtime/autocast.h"

namespace mactok {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/**
 * Each matrix times its vector: [G, O, M] and [G, M] -> [G, O]. On a CPU, whose groups are of one,
 * a batched product takes longer.
 */
at::Tensor multiply_each(const at::Tensor& matrices, const at::Tensor& vectors) {
  if (matrices.size(0) == 1) return matrices[0].mv(vectors[0]).unsqueeze(0);
  return at::bmm(matrices, vectors.unsqueeze(2)).squeeze(2);
}

/** [G, M] and [G, M] -> [G, 1]. */
at::Tensor dot_each(const at::Tensor& x, const at::Tensor& y) {
  if (x.size(0) == 1) return x[0].dot(y[0]).view({1, 1});
  return (x * y).sum(1, /*keepdim=*/true);
}

/** Scales each row of x [G, M] to unit length. */
at::Tensor unit(const at::Tensor& x) {
  return x / at::linalg_vector_norm(x, 2, {1}, /*keepdim=*/true).clamp_min(1e-12);
}

/**
 * Each matrix [G, O, M] ÷ σ, σ = uᵀ·matrix·v. The gradient is (G − ⟨G, matrix/σ⟩·u·vᵀ) ÷ σ in three passes,
 * where autograd takes nine.
 */
struct Normalized : torch::autograd::Function<Normalized> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& matrix, const at::Tensor& u,
                            const at::Tensor& v) {
    const auto sigma = dot_each(u, multiply_each(matrix, v)).unsqueeze(2);  // [G, 1, 1]
    const auto out = matrix / sigma;
    context->save_for_backward({out, u, v, sigma});
    return out;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const auto &out = saved[0], &u = saved[1], &v = saved[2], &sigma = saved[3];
    const auto& gradient = gradients[0];
    const auto along = dot_each(gradient.flatten(1), out.flatten(1));
    return {at::addcmul(gradient, u.unsqueeze(2), (v * -along).unsqueeze(1)).div_(sigma),
            at::Tensor(), at::Tensor()};
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
 * The same product of windows by cuDNN's convolution, which keeps no windows: x [B, N, G·I], matrix
 * [G, O, k·I], bias [G, O] -> [B, N, G·O]. The views are channels-last images of one row.
 */
at::Tensor convolve(const at::Tensor& x, const at::Tensor& matrix, const at::Tensor& bias,
                    int64_t kernel) {
  const int64_t margin = kernel / 2, tokens = x.size(1);
  const auto padded = at::cat({x.narrow(1, tokens - margin, margin), x, x.narrow(1, 0, margin)}, 1);
  const auto row = padded.unsqueeze(1).permute({0, 3, 1, 2});  // [B, G·I, 1, N + 2·margin]
  const auto weight =
      matrix.view({bias.numel(), 1, kernel, -1}).permute({0, 3, 1, 2});  // [G·O, I, 1, k]
  const std::array<int64_t, 2> once{1, 1}, none{0, 0};
  return at::conv2d(row, weight, bias.flatten(), /*stride=*/once, /*padding=*/none,
                    /*dilation=*/once, /*groups=*/matrix.size(0))
      .permute({0, 2, 3, 1})
      .squeeze(1);
}

/** x [B, N, G·I], matrix [G, O, I], bias [G, O] -> [B, N, G·O]. */
at::Tensor multiply_groups(const at::Tensor& x, const at::Tensor& matrix, const at::Tensor& bias) {
  const int64_t groups = matrix.size(0);
  if (groups == 1) return linear(x, matrix.squeeze(0), bias.squeeze(0));
  const auto rows = x.reshape({-1, groups, matrix.size(2)}).transpose(0, 1);  // [G, B·N, I]
  return at::baddbmm(bias.unsqueeze(1), rows, matrix.transpose(1, 2))
      .transpose(0, 1)
      .reshape({x.size(0), x.size(1), -1});
}

/** Casts to the dtype of products, so that windows take the least memory. */
at::Tensor cast_for_product(const at::Tensor& x) {
  const bool narrow = Autocast::current(x.device().type()) == Precision::bf16;
  return narrow ? x.to(at::kBFloat16) : x;
}

/** Transposes flattened matrices: [G, A·B] -> [G, B·A]. */
at::Tensor transpose_flat(const at::Tensor& x, int64_t first) {
  return x.view({x.size(0), first, -1}).transpose(1, 2).flatten(1);
}

/** [G, O, k·I]: the inputs of each place in the window in turn. */
at::Tensor normalized_matrix(const Group<SpectralConv1d>& convolutions) {
  const c10::impl::ExcludeDispatchKeyGuard no_autocast(c10::autocast_dispatch_keyset);
  const at::NoTF32Guard no_tf32;
  const auto weight_u = each(convolutions, &SpectralConv1d::weight_u);
  const auto weight_v = each(convolutions, &SpectralConv1d::weight_v);
  const auto weight = stack(each(convolutions, &SpectralConv1d::weight_orig));  // [G, O, I, k]
  const int64_t inputs = weight.size(2), kernel = weight.size(3);
  const auto matrix = weight.transpose(2, 3).flatten(2);
  // New tensors, not the buffers, whose values an earlier call's gradient still needs.
  auto u = stack(weight_u), v = transpose_flat(stack(weight_v), inputs);
  if (convolutions[0]->is_training()) {
    const at::NoGradGuard no_grad;
    v = unit(multiply_each(matrix.transpose(1, 2), u));
    u = unit(multiply_each(matrix, v));
    unstack(u, weight_u);
    unstack(transpose_flat(v, kernel), weight_v);
  }
  return Normalized::apply(matrix, u, v);
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

at::Tensor SpectralConv1d::forward(const Group<SpectralConv1d>& convolutions, const at::Tensor& x) {
  const int64_t kernel = convolutions[0]->weight_orig.size(2), tokens = x.size(1);
  TORCH_CHECK(tokens >= kernel / 2, "spectral convolution: expected at least ", kernel / 2,
              " tokens but received ", tokens);
  const auto matrix = normalized_matrix(convolutions);
  const auto bias = stack(each(convolutions, &SpectralConv1d::bias));
  if (kernel == 1) return multiply_groups(x, matrix, bias);
  if (x.is_cuda()) return convolve(cast_for_product(x), matrix, bias, kernel);
  // One product of windows: oneDNN's convolution takes up to twice as long in bfloat16.
  return multiply_groups(Windows::apply(cast_for_product(x), kernel), matrix, bias);
}

}  // namespace mactok
