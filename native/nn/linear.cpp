#include "nn/linear.h"

#include <ATen/autocast_mode.h>

#include "kernels/chunks.h"
#include "kernels/linear.h"
#include "nn/pixels.h"

namespace mactok {
namespace {

/** Rows from which a convolution is the faster product, forward and backward. */
constexpr int64_t kMinRows = 256;

bool autocasts(const at::Tensor& x) { return at::autocast::is_autocast_enabled(x.device().type()); }

/** Whether MKL is at its best: it does not use AVX-512 on other vendors' CPUs. */
bool suits_mkl() {
#if defined(__x86_64__)
  return __builtin_cpu_is("intel");
#else
  return false;
#endif
}

/**
 * Whether a product goes to oneDNN as a 1×1 convolution. LibTorch passes float32 products to MKL,
 * which on AMD's CPUs reaches half of oneDNN's rate (docs/benchmarks.md).
 */
bool suits_convolution(const at::Tensor& x) {
  static const bool never = !at::hasMKLDNN() || suits_mkl();
  return !never && x.is_cpu() && x.scalar_type() == at::kFloat && !autocasts(x) &&
         x.numel() >= kMinRows * x.size(-1);
}

/** cast: the weight in autocast's dtype, if it was kept beside it. */
at::Tensor product(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                   const std::optional<at::Tensor>& cast) {
  if (autocasts(x) && kernels::supports(x)) return kernels::linear(x, weight, bias, cast);
  if (suits_convolution(x)) {
    const auto kernel = weight.unsqueeze(-1).unsqueeze(-1);  // [O, I, 1, 1]
    return from_pixels(at::conv2d(to_pixels(x), kernel, bias), x);
  }
  // LibTorch's slower path for strided inputs rounds differently where the weights train.
  return at::linear(x.contiguous(), weight, bias);
}

}  // namespace

at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  return product(x, weight, bias, /*cast=*/std::nullopt);
}

Linear::Linear(int64_t inputs, int64_t outputs)
    : weight(register_parameter("weight", at::empty({outputs, inputs}))),
      bias(register_parameter("bias", at::empty({outputs}))) {}

Linear::Operands Linear::operands(const at::Tensor& x) const {
  if (autocasts(x) && kernels::supports(x)) {
    const auto dtype = at::autocast::get_autocast_dtype(x.device().type());
    return {.weight = weight, .bias = bias, .cast = cast_weight(weight_cast_, weight, dtype)};
  }
  return {.weight = cast_parameter(weight_cast_, weight),
          .bias = cast_parameter(bias_cast_, bias),
          .cast = std::nullopt};
}

at::Tensor Linear::forward(const at::Tensor& x) const {
  const auto [weight, bias, cast] = operands(x);
  return product(x, weight, bias, cast);
}

at::Tensor Linear::forward_part(const at::Tensor& x, int64_t begin, int64_t count) const {
  const auto part = [&](const at::Tensor& of) { return of.narrow(0, begin, count); };
  const auto [weight, bias, cast] = operands(x);
  return product(x, part(weight), part(bias), cast ? std::optional(part(*cast)) : std::nullopt);
}

}  // namespace mactok
