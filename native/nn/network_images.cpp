#include "nn/network_images.h"

#include "runtime/cuda_library.h"
#include "runtime/profiler.h"

namespace mactok {

at::Tensor to_network_images(const at::Tensor& images, at::Device device) {
  const Phase phase("inputs");
  const auto moved = upload(images, device);
  if (moved.scalar_type() != at::kByte) return moved;
  return moved.permute({0, 3, 1, 2})
      .to(at::kFloat, false, false, at::MemoryFormat::Contiguous)
      .div_(127.5)
      .sub_(1.0);
}

}  // namespace mactok
