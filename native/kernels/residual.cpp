#include "kernels/residual.h"

#include "kernels/chunks.h"
#include "kernels/loops/residual.h"

namespace mactok::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct Residual : torch::autograd::Function<Residual> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& given,
                            const at::Tensor& branch, const at::Tensor& given_gamma) {
    const auto x = given.contiguous(), added = branch.contiguous(),
               gamma = given_gamma.contiguous();
    const int64_t width = x.size(-1);
    const RowFactors factors(gamma, width);
    const auto out = at::empty_like(x);
    with_type(added, [&]<typename T>(T) {
      for_chunks(
          x.numel() / width,
          [&, from = x.const_data_ptr<float>(), b = elements<T>(added),
           g = gamma.const_data_ptr<float>(),
           to = out.data_ptr<float>()](int64_t chunk, int64_t begin, int64_t end) {
            loops::residual<T>(from + begin * width, b + begin * width, g + factors.offset(chunk),
                               end - begin, width, to + begin * width);
          },
          factors.chunks());
    });
    // Of a frozen network's branch only the type is needed.
    context->save_for_backward({given_gamma.requires_grad() ? added : at::Tensor(), gamma});
    context->saved_data["type"] = added.scalar_type();
    return out;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const auto &branch = saved[0], &gamma = saved[1];
    const auto dy = gradients[0].contiguous();
    const int64_t width = dy.size(-1);
    auto dbranch =
        at::empty(dy.sizes(), dy.options().dtype(context->saved_data["type"].toScalarType()));
    if (!branch.defined()) {
      at::mul_out(dbranch, dy, gamma);
      return {dy, dbranch, at::Tensor()};
    }
    const RowFactors factors(gamma, width);
    const auto sums = at::zeros({factors.chunks(), width}, dy.options());
    with_type(branch, [&]<typename T>(T) {
      for_chunks(
          dy.numel() / width,
          [&, d = dy.const_data_ptr<float>(), b = elements<T>(branch),
           g = gamma.const_data_ptr<float>(), to = elements<T>(dbranch),
           s = sums.data_ptr<float>()](int64_t chunk, int64_t begin, int64_t end) {
            loops::residual_backward<T>(d + begin * width, b + begin * width,
                                        g + factors.offset(chunk), end - begin, width,
                                        to + begin * width, s + chunk * width);
          },
          factors.chunks());
    });
    return {dy, dbranch, factors.gradient(sums, gamma.sizes())};
  }
};

}  // namespace

at::Tensor residual(const at::Tensor& x, const at::Tensor& branch, const at::Tensor& gamma) {
  return Residual::apply(x, branch, gamma);
}

}  // namespace mactok::kernels
