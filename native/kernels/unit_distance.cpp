#include "kernels/unit_distance.h"

#include "kernels/chunks.h"
#include "kernels/loops/unit_distance.h"

namespace mactok::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/** [B, C, h, w], channels last -> [B, h·w, C], without a copy. */
at::Tensor positions(const at::Tensor& features) {
  return features.permute({0, 2, 3, 1}).contiguous().flatten(1, 2);
}

struct UnitDistance : torch::autograd::Function<UnitDistance> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& y,
                            const at::Tensor& weight, double eps) {
    const auto found = positions(x), wanted = positions(y);
    const int64_t width = found.size(2);
    const auto out = at::empty({found.size(0), found.size(1)}, x.options().dtype(at::kFloat));
    with_type(found, [&]<typename T>(T) {
      for_chunks(out.numel(),
                 [&, a = elements<T>(found), b = elements<T>(wanted), w = elements<float>(weight),
                  to = elements<float>(out)](int64_t, int64_t begin, int64_t end) {
                   loops::unit_distance<T>(a + begin * width, b + begin * width, w,
                                           static_cast<float>(eps), end - begin, width, to + begin);
                 });
    });
    context->save_for_backward({found, wanted, weight});
    context->saved_data["eps"] = eps;
    context->saved_data["height"] = x.size(2);
    return out;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const auto &found = saved[0], &wanted = saved[1], &weight = saved[2];
    const auto eps = static_cast<float>(context->saved_data["eps"].toDouble());
    const auto upstream = gradients[0].contiguous();
    const int64_t width = found.size(2);
    const auto dx = at::empty_like(found);
    with_type(found, [&]<typename T>(T) {
      for_chunks(upstream.numel(), [&, a = elements<T>(found), b = elements<T>(wanted),
                                    w = elements<float>(weight), u = elements<float>(upstream),
                                    to = elements<T>(dx)](int64_t, int64_t begin, int64_t end) {
        loops::unit_distance_backward<T>(a + begin * width, b + begin * width, w, eps, u + begin,
                                         end - begin, width, to + begin * width);
      });
    });
    const int64_t height = context->saved_data["height"].toInt();
    const auto images = dx.unflatten(1, {height, -1}).permute({0, 3, 1, 2});
    return {images, at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor unit_distance(const at::Tensor& x, const at::Tensor& y, const at::Tensor& weight,
                         double eps) {
  return UnitDistance::apply(x, y, weight, eps);
}

}  // namespace mactok::kernels
