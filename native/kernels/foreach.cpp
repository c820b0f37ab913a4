#include "kernels/foreach.h"

#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/_foreach_sub.h>

#include <algorithm>
#include <cmath>

#include "kernels/loops/foreach.h"
#include "runtime/written.h"

namespace mactok::kernels {
namespace {

bool are_plain(const std::vector<at::Tensor>& tensors) {
  return std::all_of(tensors.begin(), tensors.end(), [](const at::Tensor& x) {
    return x.is_cpu() && x.scalar_type() == at::kFloat && x.is_contiguous();
  });
}

struct Piece {
  size_t tensor;
  int64_t begin, count;
};

/** Splits all elements into pieces for one thread at a time. */
std::vector<Piece> split(const std::vector<at::Tensor>& tensors) {
  constexpr int64_t kMaxPiece = int64_t{1} << 15;
  std::vector<Piece> pieces;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const int64_t count = tensors[i].numel();
    for (int64_t begin = 0; begin < count; begin += kMaxPiece) {
      pieces.push_back({i, begin, std::min(kMaxPiece, count - begin)});
    }
  }
  return pieces;
}

/** Calls f(index, piece) for each piece, in parallel. */
template <typename F>
void for_pieces(const std::vector<Piece>& pieces, const F& f) {
  at::parallel_for(0, static_cast<int64_t>(pieces.size()), 1, [&](int64_t begin, int64_t end) {
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) f(i, pieces[i]);
  });
}

}  // namespace

at::Tensor norm(const std::vector<at::Tensor>& tensors) {
  if (!are_plain(tensors)) return at::stack(at::_foreach_norm(tensors, 2)).norm();
  const auto pieces = split(tensors);
  std::vector<double> sums(pieces.size());
  for_pieces(pieces, [&](size_t i, const Piece& piece) {
    const auto* x = tensors[piece.tensor].const_data_ptr<float>() + piece.begin;
    sums[i] = loops::sum_of_squares(x, piece.count);
  });
  double sum = 0;
  for (const double part : sums) sum += part;
  return at::scalar_tensor(std::sqrt(sum), at::kFloat);
}

void lerp(const std::vector<at::Tensor>& averages, const std::vector<at::Tensor>& values,
          const at::Tensor& weight) {
  if (!are_plain(averages) || !are_plain(values)) {
    // LibTorch's `_foreach_lerp_` takes one weight from the host, or one for each element. In groups,
    // so that the differences take little memory.
    constexpr int64_t kMaxGroup = int64_t{1} << 25;
    for (size_t begin = 0, end = 0; begin < averages.size(); begin = end) {
      for (int64_t count = 0; end < averages.size() && count < kMaxGroup; ++end) {
        count += averages[end].numel();
      }
      const at::TensorList group(&averages[begin], end - begin);
      const auto steps = at::_foreach_sub(at::TensorList(&values[begin], end - begin), group);
      at::_foreach_mul_(steps, weight);
      at::_foreach_add_(group, steps);
    }
    // The fused operations do not count their writes.
    count_writes(averages);
    return;
  }
  const float amount = *weight.const_data_ptr<float>();
  for_pieces(split(averages), [&](size_t, const Piece& piece) {
    loops::lerp(averages[piece.tensor].data_ptr<float>() + piece.begin,
                values[piece.tensor].const_data_ptr<float>() + piece.begin, amount, piece.count);
  });
  count_writes(averages);
}

}  // namespace mactok::kernels
