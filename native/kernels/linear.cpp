#include "kernels/linear.h"

#include <ATen/core/dispatch/Dispatcher.h>

#include <algorithm>
#include <string_view>

#include "kernels/chunks.h"
#include "kernels/loops/linear.h"

namespace mactok::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/** bfloat16 [M, N] -> contiguous [N, M] of `dtype`, in one pass. */
at::Tensor transpose(const at::Tensor& given, at::ScalarType dtype) {
  const auto x = given.contiguous();
  const int64_t rows = x.size(0), columns = x.size(1);
  const auto out = at::empty({columns, rows}, x.options().dtype(dtype));
  // Blocks small enough that a cache line is used up before it is evicted.
  constexpr int64_t kBlock = 64;
  const int64_t across = at::divup(columns, kBlock), blocks = at::divup(rows, kBlock) * across;
  with_type(out, [&]<typename T>(T) {
    at::parallel_for(
        0, blocks, /*grain_size=*/4,
        [&, from = elements<loops::bf16>(x), to = elements<T>(out)](int64_t begin, int64_t end) {
          for (int64_t block = begin; block < end; ++block) {
            const int64_t row = block / across * kBlock, column = block % across * kBlock;
            loops::transpose(from + row * columns + column, columns, std::min(kBlock, rows - row),
                             std::min(kBlock, columns - column), to + column * rows + row, rows);
          }
        });
  });
  return out;
}

/**
 * dyᵀ·x: [M, O] and [M, I] -> float32 [O, I]. Transposes the cheaper operand; with x, the result
 * too.
 */
at::Tensor weight_gradient(const at::Tensor& dy, const at::Tensor& x) {
  const int64_t rows = x.size(0), inputs = x.size(1), outputs = dy.size(1);
  if (rows * outputs <= (rows + outputs) * inputs) {
    return at::mm(transpose(dy, at::kBFloat16), x).to(at::kFloat);
  }
  return transpose(at::mm(transpose(x, at::kBFloat16), dy), at::kFloat);
}

/** Σ over the rows of contiguous dy [M, O], float32 [O]. */
at::Tensor bias_gradient(const at::Tensor& dy) {
  const int64_t width = dy.size(1);
  const auto sums = at::zeros({kChunks, width}, dy.options().dtype(at::kFloat));
  for_chunks(dy.size(0), [&, from = elements<loops::bf16>(dy), to = sums.data_ptr<float>()](
                             int64_t chunk, int64_t begin, int64_t end) {
    loops::add_rows(from + begin * width, end - begin, width, to + chunk * width);
  });
  return sum_chunks(sums);
}

/**
 * Whether oneDNN multiplies bfloat16 on this processor; LibTorch's own products do so on every one.
 */
bool multiplies_bf16() {
  const auto asked =
      c10::Dispatcher::singleton().findSchema({"mkldnn::_is_mkldnn_bf16_supported", ""});
  return asked && asked->typed<bool()>().call();
}

/** x·weightᵀ + bias by oneDNN, which adds the bias in the same pass; `at::linear` needs another. */
at::Tensor product(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  using Signature = at::Tensor(
      const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&, std::string_view,
      c10::List<std::optional<at::Scalar>>, std::optional<std::string_view>);
  static const auto found =
      c10::Dispatcher::singleton().findSchema({"mkldnn::_linear_pointwise", ""});
  static const bool usable = found && multiplies_bf16();
  if (!usable) return at::linear(x, weight, bias.to(x.scalar_type()));
  static const auto operation = found->typed<Signature>();
  return operation.call(x, weight, bias, "none", c10::List<std::optional<at::Scalar>>(), "");
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
    if (cast.defined()) {
      auto shape = dy.sizes().vec();
      shape.back() = cast.size(1);
      dx = at::mm(rows, cast).view(shape);
    }
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
