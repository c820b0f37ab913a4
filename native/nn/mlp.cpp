#include "nn/mlp.h"

#include "kernels/chunks.h"
#include "kernels/gelu.h"

namespace mactok {
namespace {

/** [..., hidden] -> [..., hidden], or [..., hidden / 2] for SwiGLU. */
at::Tensor activate(const at::Tensor& x, Mlp kind) {
  if (kind != Mlp::swiglu) {
    if (kernels::supports(x)) return kernels::gelu(x, kind == Mlp::gelu_tanh);
    return at::gelu(x, kind == Mlp::gelu ? "none" : "tanh");
  }
  const auto halves = x.chunk(2, -1);
  return at::silu(halves[0]) * halves[1];
}

}  // namespace

MlpLayer::MlpLayer(int64_t width, int64_t hidden, Mlp kind)
    : kind_(kind),
      fc1_(register_module("fc1", std::make_shared<Linear>(width, hidden))),
      fc2_(register_module(
          "fc2", std::make_shared<Linear>(kind == Mlp::swiglu ? hidden / 2 : hidden, width))) {}

at::Tensor MlpLayer::forward(const at::Tensor& x) const {
  return fc2_->forward(activate(fc1_->forward(x), kind_));
}

}  // namespace mactok
