#include "kernels/layer_norm.h"

#include "kernels/chunks.h"
#include "kernels/loops/layer_norm.h"

namespace mactok::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct LayerNorm : torch::autograd::Function<LayerNorm> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& given,
                            const at::Tensor& given_weight, const at::Tensor& given_bias,
                            double eps) {
    const auto x = given.contiguous(), weight = given_weight.contiguous(),
               bias = given_bias.contiguous();
    const int64_t width = x.size(-1), rows = x.numel() / width;
    const RowFactors factors(weight, width);
    const auto out = at::empty(x.sizes(), x.options().dtype(product_type()));
    const auto mean = at::empty({rows}, x.options()), rstd = at::empty_like(mean);
    with_type(out, [&]<typename T>(T) {
      for_chunks(
          rows,
          [&, from = x.const_data_ptr<float>(), w = weight.const_data_ptr<float>(),
           b = bias.const_data_ptr<float>(), to = elements<T>(out), m = mean.data_ptr<float>(),
           r = rstd.data_ptr<float>()](int64_t chunk, int64_t begin, int64_t end) {
            loops::layer_norm(from + begin * width, w + factors.offset(chunk),
                              b + factors.offset(chunk), static_cast<float>(eps), end - begin,
                              width, to + begin * width, m + begin, r + begin);
          },
          factors.chunks());
    });
    context->save_for_backward({x, weight, mean, rstd});
    return out;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const auto &x = saved[0], &weight = saved[1], &mean = saved[2], &rstd = saved[3];
    const auto dy = gradients[0].contiguous();
    const int64_t width = x.size(-1), rows = x.numel() / width;
    const RowFactors factors(weight, width);
    const int64_t chunks = factors.chunks();
    const auto dx = at::empty_like(x);
    const auto sums = at::zeros({2, chunks, width}, x.options());
    with_type(dy, [&]<typename T>(T) {
      for_chunks(
          rows,
          [&, d = elements<T>(dy), from = x.const_data_ptr<float>(),
           w = weight.const_data_ptr<float>(), m = mean.const_data_ptr<float>(),
           r = rstd.const_data_ptr<float>(), to = dx.data_ptr<float>(),
           s = sums.data_ptr<float>()](int64_t chunk, int64_t begin, int64_t end) {
            loops::layer_norm_backward(d + begin * width, from + begin * width,
                                       w + factors.offset(chunk), m + begin, r + begin, end - begin,
                                       width, to + begin * width, s + chunk * width,
                                       s + (chunks + chunk) * width);
          },
          chunks);
    });
    return {dx, factors.gradient(sums[0], weight.sizes()),
            factors.gradient(sums[1], weight.sizes()), at::Tensor()};
  }
};

}  // namespace

at::Tensor layer_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                      double eps) {
  return LayerNorm::apply(x, weight, bias, eps);
}

}  // namespace mactok::kernels
