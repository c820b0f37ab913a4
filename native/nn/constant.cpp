#include "nn/constant.h"

namespace mactok {

at::Tensor constant(std::initializer_list<double> values, const at::TensorOptions& options) {
  std::vector<at::Tensor> parts;
  for (const double value : values) parts.push_back(at::full({1}, value, options));
  return at::cat(parts);
}

}  // namespace mactok
