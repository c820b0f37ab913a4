#include "nn/constant.h"

namespace mactok {

const at::Tensor& ChannelConstant::like(const at::Tensor& images) const {
  const bool reusable = tensor_.defined() && tensor_.device() == images.device() &&
                        tensor_.scalar_type() == images.scalar_type();
  if (!reusable) {
    std::vector<at::Tensor> parts;
    for (const double value : values_) {
      parts.push_back(at::full({1, 1, 1}, value, images.options()));
    }
    tensor_ = at::cat(parts);
  }
  return tensor_;
}

}  // namespace mactok
