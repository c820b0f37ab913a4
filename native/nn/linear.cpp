#include "nn/linear.h"

namespace mactok {

Linear::Linear(int64_t inputs, int64_t outputs)
    : weight(register_parameter("weight", at::empty({outputs, inputs}))),
      bias(register_parameter("bias", at::empty({outputs}))) {}

// A strided input would take LibTorch's slower path, which rounds differently depending on whether the weights train.
at::Tensor Linear::forward(const at::Tensor& x) const {
  return at::linear(x.contiguous(), weight, bias);
}

at::Tensor Linear::forward_part(const at::Tensor& x, int64_t begin, int64_t count) const {
  return at::linear(x.contiguous(), weight.narrow(0, begin, count), bias.narrow(0, begin, count));
}

}  // namespace mactok
