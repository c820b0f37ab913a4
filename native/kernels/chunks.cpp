#include "kernels/chunks.h"

#include <ATen/autocast_mode.h>

#include "kernels/loops/linear.h"

namespace mactok::kernels {

at::Tensor sum_chunks(const at::Tensor& sums) {
  const auto total = at::zeros({sums.size(1)}, sums.options());
  loops::add_rows(elements<float>(sums), sums.size(0), sums.size(1), elements<float>(total));
  return total;
}

bool supports(const at::Tensor& x) {
  if (!x.device().is_cpu()) return false;
  return at::autocast::is_autocast_enabled(at::kCPU)
             ? at::autocast::get_autocast_dtype(at::kCPU) == at::kBFloat16
             : x.scalar_type() == at::kFloat;
}

at::ScalarType product_type() {
  return at::autocast::is_autocast_enabled(at::kCPU) ? at::kBFloat16 : at::kFloat;
}

}  // namespace mactok::kernels
