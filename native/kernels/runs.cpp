#include "kernels/runs.h"

#include <ATen/autocast_mode.h>

namespace mactok::kernels {

bool serve(const at::Tensor& x) {
  if (!x.device().is_cpu()) return false;
  return at::autocast::is_autocast_enabled(at::kCPU)
             ? at::autocast::get_autocast_dtype(at::kCPU) == at::kBFloat16
             : x.scalar_type() == at::kFloat;
}

at::ScalarType product_type() {
  return at::autocast::is_autocast_enabled(at::kCPU) ? at::kBFloat16 : at::kFloat;
}

}  // namespace mactok::kernels
