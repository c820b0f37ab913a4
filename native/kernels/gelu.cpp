#include "kernels/gelu.h"

#include "kernels/loops/gelu.h"
#include "kernels/runs.h"

namespace mactok::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

at::Tensor compute(const at::Tensor& x, bool tanh, bool keep) {
  const auto out = at::empty_like(x);
  for_runs(x.numel(), [&, from = bits(x), to = bits(out)](int64_t, int64_t begin, int64_t end) {
    (tanh ? loops::gelu_tanh : loops::gelu)(from + begin, end - begin, keep, to + begin);
  });
  return out;
}

struct Gelu : torch::autograd::Function<Gelu> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, bool tanh) {
    const auto out = compute(x, tanh, true);
    context->saved_data["slope"] = x.detach();
    return out;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto slope = context->saved_data["slope"].toTensor();
    const auto dy = gradients[0].contiguous();
    const auto dx = at::empty_like(slope);
    for_runs(slope.numel(), [&, s = bits(slope), d = bits(dy), to = bits(dx)](
                                int64_t, int64_t begin, int64_t end) {
      loops::product(s + begin, d + begin, end - begin, to + begin);
    });
    return {dx, at::Tensor()};
  }
};

}  // namespace

at::Tensor gelu(const at::Tensor& x, bool tanh) {
  TORCH_CHECK(x.scalar_type() == at::kBFloat16 && x.is_contiguous(),
              "gelu: expected contiguous bfloat16");
  if (!at::GradMode::is_enabled() || !x.requires_grad()) return compute(x, tanh, false);
  return Gelu::apply(x, tanh);
}

}  // namespace mactok::kernels
