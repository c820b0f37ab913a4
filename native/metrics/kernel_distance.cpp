#include "metrics/kernel_distance.h"

#include "runtime/float64.h"

namespace mactok {
namespace {

/** [M, N] */
at::Tensor kernel(const at::Tensor& a, const at::Tensor& b) {
  const auto products = to_float64(at::mm(a, b.t()));
  return products.div_(static_cast<double>(a.size(1))).add_(1).pow_(3);
}

/** Mean of the kernel over pairs of different rows. */
double mean_within(const at::Tensor& rows) {
  const auto values = kernel(rows, rows);
  const auto sum = (values.sum() - values.trace()).item<double>();
  const auto count = static_cast<double>(rows.size(0));
  return sum / (count * (count - 1));
}

}  // namespace

double kernel_distance(const at::Tensor& a, const at::Tensor& b) {
  return mean_within(a) + mean_within(b) - 2 * kernel(a, b).mean().item<double>();
}

}  // namespace mactok
