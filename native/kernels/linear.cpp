#include "kernels/linear.h"

#include <ATen/core/dispatch/Dispatcher.h>

#include <string_view>

#include "kernels/loops/columns.h"
#include "kernels/runs.h"

#if __has_include(<fbgemm/Fbgemm.h>)
#include <fbgemm/Fbgemm.h>
#endif

namespace mactok::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/** bfloat16 [M, N] -> contiguous [N, M], by FBGEMM where LibTorch has it: LibTorch's own copy takes ten times as long. */
at::Tensor transposed(const at::Tensor& given) {
#if __has_include(<fbgemm/Fbgemm.h>)
  if (fbgemm::fbgemmSupportedCPU()) {
    const auto x = given.contiguous();
    const int64_t rows = x.size(0), columns = x.size(1);
    const auto out = at::empty({columns, rows}, x.options());
    for_runs(rows, [&, from = elements<loops::bf16>(x), to = elements<loops::bf16>(out)](
                       int64_t, int64_t begin, int64_t end) {
      fbgemm::transpose_simd(end - begin, columns, from + begin * columns, columns, to + begin,
                             rows);
    });
    return out;
  }
#endif
  return given.t().contiguous();
}

/** dyᵀ·x, [M, O] and [M, I] -> [O, I]. The operand is transposed that is less work; of x's product the result has to be, too. */
at::Tensor weight_gradient(const at::Tensor& dy, const at::Tensor& x) {
  const int64_t rows = x.size(0), inputs = x.size(1), outputs = dy.size(1);
  return rows * outputs <= (rows + outputs) * inputs ? at::mm(transposed(dy), x)
                                                     : transposed(at::mm(transposed(x), dy));
}

/** x·weightᵀ + bias by oneDNN, which adds the bias on its way: `at::linear` does so in a pass of its own. */
at::Tensor product(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  using Signature = at::Tensor(
      const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&, std::string_view,
      c10::List<std::optional<at::Scalar>>, std::optional<std::string_view>);
  static const auto found =
      c10::Dispatcher::singleton().findSchema({"mkldnn::_linear_pointwise", ""});
  if (!found) return at::linear(x, weight, bias.to(x.scalar_type()));
  static const auto operation = found->typed<Signature>();
  return operation.call(x, weight, bias, "none", c10::List<std::optional<at::Scalar>>(), "");
}

/** Σ over the rows of contiguous dy [M, O], float32 [O]. */
at::Tensor bias_gradient(const at::Tensor& dy) {
  const int64_t width = dy.size(1);
  const auto sums = at::zeros({kRuns, width}, dy.options().dtype(at::kFloat));
  for_runs(dy.size(0), [&, from = elements<loops::bf16>(dy), to = sums.data_ptr<float>()](
                           int64_t run, int64_t begin, int64_t end) {
    loops::add_rows(from + begin * width, end - begin, width, to + run * width);
  });
  return sums.sum(0);
}

struct Linear : torch::autograd::Function<Linear> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& given,
                            const at::Tensor& weight, const at::Tensor& bias,
                            const std::optional<at::Tensor>& given_cast) {
    const auto cast = given_cast ? *given_cast : weight.to(at::kBFloat16);
    const auto x = given.to(at::kBFloat16).contiguous();
    context->save_for_backward(
        {weight.requires_grad() ? x : at::Tensor(), given.requires_grad() ? cast : at::Tensor()});
    return product(x, cast, bias);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const auto &x = saved[0], &cast = saved[1];
    const auto dy = gradients[0].contiguous();
    const auto rows = dy.view({-1, dy.size(-1)});
    at::Tensor dx, dweight, dbias;
    if (cast.defined()) dx = at::matmul(dy, cast);
    if (x.defined()) {
      dweight = weight_gradient(rows, x.view({-1, x.size(-1)}));
      dbias = bias_gradient(rows);
    }
    return {dx, dweight, dbias, at::Tensor()};
  }
};

}  // namespace

at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                  const std::optional<at::Tensor>& cast) {
  return Linear::apply(x, weight, bias, cast);
}

}  // namespace mactok::kernels
