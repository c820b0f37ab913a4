#pragma once

#include "runtime/torch.h"

#include <memory>
#include <optional>

#include "runtime/kept_cast.h"

namespace mactok {

/** x·weightᵀ + bias: [..., I], [O, I], [O] -> [..., O], by the fastest implementation here. */
at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);

/**
 * y = x·Wᵀ + b with `weight` [outputs, inputs] and `bias` [outputs], uninitialised: `initialize` or
 * loading fills them.
 */
class Linear : public torch::nn::Module {
 public:
  Linear(int64_t inputs, int64_t outputs);

  /** [..., inputs] -> [..., outputs]. */
  at::Tensor forward(const at::Tensor& x) const;

  /** Only outputs [begin, begin + count): [..., inputs] -> [..., count]. */
  at::Tensor forward_part(const at::Tensor& x, int64_t begin, int64_t count) const;

  at::Tensor weight, bias;

 private:
  /** Weight and bias as the product takes them, and the weight in autocast's dtype beside it. */
  struct Operands {
    at::Tensor weight, bias;
    std::optional<at::Tensor> cast;
  };

  Operands operands(const at::Tensor& x) const;

  mutable std::shared_ptr<KeptCast> weight_cast_, bias_cast_;
};

}  // namespace mactok
