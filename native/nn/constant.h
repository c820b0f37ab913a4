#pragma once

#include "runtime/torch.h"

#include <vector>

namespace mactok {

/**
 * A few float values per channel of images, [C, 1, 1]. The first call creates the tensor on the
 * device (a copy from the host would synchronise a CUDA device and could not be recorded in a
 * graph), later ones reuse it.
 */
class ChannelConstant {
 public:
  explicit ChannelConstant(std::vector<double> values) : values_(std::move(values)) {}

  /** With the dtype and device of `images`. */
  const at::Tensor& like(const at::Tensor& images) const;

 private:
  std::vector<double> values_;
  mutable at::Tensor tensor_;
};

}  // namespace mactok
