#include "kernels/attention.h"

#include <cmath>

#include "kernels/chunks.h"
#include "kernels/loops/attention.h"

namespace mactok::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

float scale_of(const at::Tensor& q) { return 1 / std::sqrt(static_cast<float>(q.size(-1))); }

/** Part `part` of contiguous x [B, T, parts·D] -> [B·heads, T, D/heads], times scale. */
at::Tensor split(const at::Tensor& x, int64_t part, int64_t parts, int64_t heads, float scale) {
  const int64_t batch = x.size(0), tokens = x.size(1), stride = x.size(2), width = stride / parts;
  const auto out = at::empty({batch * heads, tokens, width / heads}, x.options());
  with_type(x, [&]<typename T>(T) {
    at::parallel_for(
        0, batch, 1, [&, from = elements<T>(x), to = elements<T>(out)](int64_t begin, int64_t end) {
          for (int64_t b = begin; b < end; ++b) {
            loops::split_heads<T>(from + b * tokens * stride + part * width, stride, tokens, heads,
                                  width / heads, scale, to + b * tokens * width);
          }
        });
  });
  return out;
}

/** The reverse, into part `part` of x. */
void join(const at::Tensor& heads_first, int64_t part, int64_t parts, float scale,
          const at::Tensor& x) {
  const int64_t batch = x.size(0), tokens = x.size(1), stride = x.size(2), width = stride / parts;
  const int64_t size = heads_first.size(2);
  with_type(x, [&]<typename T>(T) {
    at::parallel_for(
        0, batch, 1,
        [&, from = elements<T>(heads_first), to = elements<T>(x)](int64_t begin, int64_t end) {
          for (int64_t b = begin; b < end; ++b) {
            loops::join_heads<T>(from + b * tokens * width, stride, tokens, width / size, size,
                                 scale, to + b * tokens * stride + part * width);
          }
        });
  });
}

struct Attention : torch::autograd::Function<Attention> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& first,
                            const std::optional<at::Tensor>& second, int64_t heads) {
    const bool packed = !second;
    const auto asked = first.contiguous(), known = packed ? asked : second->contiguous();
    const int64_t parts = packed ? 3 : 2;
    const float scale = 1 / std::sqrt(static_cast<float>(known.size(2) / parts / heads));
    const auto q = split(asked, 0, packed ? 3 : 1, heads, scale);
    const auto k = split(known, parts - 2, parts, heads, 1);
    const auto v = split(known, parts - 1, parts, heads, 1);

    const auto weights = at::bmm(q, k.transpose(1, 2));  // [B·heads, K, T]
    const int64_t width = weights.size(2);
    with_type(weights, [&]<typename T>(T) {
      for_chunks(weights.size(0) * weights.size(1),
                 [&, x = elements<T>(weights)](int64_t, int64_t begin, int64_t end) {
                   std::vector<float> scratch(static_cast<size_t>(width));
                   loops::softmax(x + begin * width, end - begin, width, scratch.data());
                 });
    });
    const auto out = at::empty({asked.size(0), asked.size(1), q.size(2) * heads}, asked.options());
    join(at::bmm(weights, v), 0, 1, 1, out);

    context->save_for_backward({q, k, v, weights});
    context->saved_data["heads"] = heads;
    context->saved_data["packed"] = packed;
    return out;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const auto &q = saved[0], &k = saved[1], &v = saved[2], &weights = saved[3];
    const int64_t heads = context->saved_data["heads"].toInt();
    const bool packed = context->saved_data["packed"].toBool();
    const int64_t batch = q.size(0) / heads, width = heads * q.size(2), parts = packed ? 3 : 2;

    const auto dout = split(gradients[0].contiguous(), 0, 1, heads, 1);
    const auto dknown = at::empty({batch, k.size(1), parts * width}, q.options());
    const auto dasked = packed ? dknown : at::empty({batch, q.size(1), width}, q.options());
    join(at::bmm(weights.transpose(1, 2), dout), parts - 1, parts, 1, dknown);

    const auto dweights = at::bmm(dout, v.transpose(1, 2));
    const int64_t row = weights.size(2);
    with_type(weights, [&]<typename T>(T) {
      for_chunks(weights.size(0) * weights.size(1),
                 [&, y = elements<T>(weights), dy = elements<T>(dweights)](int64_t, int64_t begin,
                                                                           int64_t end) {
                   loops::softmax_backward<T>(y + begin * row, dy + begin * row, end - begin, row);
                 });
    });
    join(at::bmm(dweights, k), 0, packed ? 3 : 1, scale_of(q), dasked);
    join(at::bmm(dweights.transpose(1, 2), q), parts - 2, parts, 1, dknown);
    return {dasked, packed ? at::Tensor() : dknown, at::Tensor()};
  }
};

}  // namespace

at::Tensor attention(const at::Tensor& qkv, int64_t heads) {
  return Attention::apply(qkv, std::nullopt, heads);
}

at::Tensor attention(const at::Tensor& q, const at::Tensor& kv, int64_t heads) {
  return Attention::apply(q, kv, heads);
}

}  // namespace mactok::kernels
