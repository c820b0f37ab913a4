#include "nn/linear.h"

#include <ATen/autocast_mode.h>

#include "nn/pixels.h"

namespace mactok {
namespace {

/** Rows from which a convolution is the faster product, forth and back. */
constexpr int64_t kFewest = 256;

bool autocasts(const at::Tensor& x) { return at::autocast::is_autocast_enabled(x.device().type()); }

bool trains(const at::Tensor& x, const at::Tensor& weight) {
  return at::GradMode::is_enabled() && (x.requires_grad() || weight.requires_grad());
}

/**
 * Whether a product goes to oneDNN as a convolution of one pixel. LibTorch gives products of float32 to MKL, which on AMD's CPUs has no
 * AVX-512: half the rate that oneDNN reaches there. In bfloat16 it is a tenth faster than LibTorch's product, which has the faster
 * gradient (docs/benchmarks.md).
 */
bool suits_convolution(const at::Tensor& x, const at::Tensor& weight) {
  if (!x.is_cpu() || !at::hasMKLDNN() || x.numel() < kFewest * x.size(-1)) return false;
  return autocasts(x) ? !trains(x, weight) : x.scalar_type() == at::kFloat;
}

}  // namespace

at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  if (suits_convolution(x, weight)) {
    const auto kernel = weight.unsqueeze(-1).unsqueeze(-1);  // [O, I, 1, 1]
    return from_pixels(at::conv2d(to_pixels(x), kernel, bias), x);
  }
  // A strided input would take LibTorch's slower path, which rounds differently depending on whether the weights train.
  return at::linear(x.contiguous(), weight, bias);
}

Linear::Linear(int64_t inputs, int64_t outputs)
    : weight(register_parameter("weight", at::empty({outputs, inputs}))),
      bias(register_parameter("bias", at::empty({outputs}))) {}

const at::Tensor& Linear::cast_weight(const at::Tensor& x) const {
  if (!autocasts(x) || trains(x, weight)) return weight;
  const auto dtype = at::autocast::get_autocast_dtype(x.device().type());
  const auto version = weight._version();
  if (!cast_.defined() || cast_.scalar_type() != dtype || cast_.device() != weight.device() ||
      cast_version_ != version) {
    cast_ = weight.detach().to(dtype);
    cast_version_ = version;
  }
  return cast_;
}

at::Tensor Linear::forward(const at::Tensor& x) const { return linear(x, cast_weight(x), bias); }

at::Tensor Linear::forward_part(const at::Tensor& x, int64_t begin, int64_t count) const {
  return linear(x, cast_weight(x).narrow(0, begin, count), bias.narrow(0, begin, count));
}

}  // namespace mactok
