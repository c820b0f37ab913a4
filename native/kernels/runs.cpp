#include "kernels/runs.h"

#include <ATen/autocast_mode.h>

namespace mactok::kernels {

bool serve(const at::Tensor& x) {
  return x.device().is_cpu() && at::autocast::is_autocast_enabled(at::kCPU) &&
         at::autocast::get_autocast_dtype(at::kCPU) == at::kBFloat16;
}

}  // namespace mactok::kernels
