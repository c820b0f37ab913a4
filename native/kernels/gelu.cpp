#include "kernels/gelu.h"

#include "kernels/chunks.h"
#include "kernels/loops/gelu.h"

namespace mactok::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

at::Tensor compute(const at::Tensor& x, bool tanh, bool keep) {
  const auto out = at::empty_like(x);
  with_type(x, [&]<typename T>(T) {
    const auto loop = tanh ? loops::gelu_tanh<T> : loops::gelu<T>;
    for_chunks(x.numel(), [&, from = elements<T>(x), to = elements<T>(out)](int64_t, int64_t begin,
                                                                            int64_t end) {
      loop(from + begin, end - begin, keep, to + begin);
    });
  });
  return out;
}

struct Gelu : torch::autograd::Function<Gelu> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, bool tanh) {
    const auto out = compute(x, tanh, true);
    // Not in `saved_data`, which keeps a tensor until the loss is destroyed.
    context->save_for_backward({x});
    return out;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto slope = context->get_saved_variables()[0];
    const auto dy = gradients[0].contiguous();
    const auto dx = at::empty_like(slope);
    with_type(slope, [&]<typename T>(T) {
      for_chunks(slope.numel(), [&, s = elements<T>(slope), d = elements<T>(dy),
                                 to = elements<T>(dx)](int64_t, int64_t begin, int64_t end) {
        loops::product<T>(s + begin, d + begin, end - begin, to + begin);
      });
    });
    return {dx, at::Tensor()};
  }
};

}  // namespace

at::Tensor gelu(const at::Tensor& x, bool tanh) {
  TORCH_CHECK(x.is_contiguous(), "gelu: expected a contiguous tensor");
  if (!at::GradMode::is_enabled() || !x.requires_grad()) return compute(x, tanh, false);
  return Gelu::apply(x, tanh);
}

}  // namespace mactok::kernels
