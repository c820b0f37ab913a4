#include "nn/mlp.h"

namespace mactok {
namespace {

at::Tensor swiglu(const at::Tensor& x) {
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
  const auto hidden = fc1_->forward(x);  // [B, T, hidden]
  return fc2_->forward(kind_ == Mlp::swiglu ? swiglu(hidden) : at::gelu(hidden));
}

}  // namespace mactok
