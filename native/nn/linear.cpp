#include "nn/linear.h"

#include <ATen/autocast_mode.h>

#include "nn/pixels.h"

namespace mactok {
namespace {

/** Rows from which a convolution is the faster product, forth and back. */
constexpr int64_t kFewest = 256;

/**
 * Whether a product goes to oneDNN as a convolution of one pixel. LibTorch gives products of float32 to MKL, which on AMD's CPUs has no
 * AVX-512: half the rate that oneDNN reaches there (docs/benchmarks.md).
 */
bool suits_convolution(const at::Tensor& x) {
  return x.is_cpu() && x.scalar_type() == at::kFloat && at::hasMKLDNN() &&
         !at::autocast::is_autocast_enabled(at::kCPU) && x.numel() >= kFewest * x.size(-1);
}

}  // namespace

at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  if (suits_convolution(x)) {
    const auto kernel = weight.unsqueeze(-1).unsqueeze(-1);  // [O, I, 1, 1]
    return from_pixels(at::conv2d(to_pixels(x), kernel, bias), x);
  }
  // A strided input would take LibTorch's slower path, which rounds differently depending on whether the weights train.
  return at::linear(x.contiguous(), weight, bias);
}

Linear::Linear(int64_t inputs, int64_t outputs)
    : weight(register_parameter("weight", at::empty({outputs, inputs}))),
      bias(register_parameter("bias", at::empty({outputs}))) {}

at::Tensor Linear::forward(const at::Tensor& x) const { return linear(x, weight, bias); }

at::Tensor Linear::forward_part(const at::Tensor& x, int64_t begin, int64_t count) const {
  return linear(x, weight.narrow(0, begin, count), bias.narrow(0, begin, count));
}

}  // namespace mactok
