#include "nn/initialize.h"

#include <algorithm>

#include "runtime/random.h"

namespace mactok::init {
namespace {

int64_t columns(const at::Tensor& parameter) {
  return parameter.numel() / std::max<int64_t>(parameter.size(0), 1);
}

}  // namespace

void assign(const at::Tensor& parameter, const at::Tensor& values) {
  const at::NoGradGuard no_grad;
  parameter.copy_(values.view(parameter.sizes()));
}

void constant(const at::Tensor& parameter, double value) {
  const at::NoGradGuard no_grad;
  parameter.fill_(value);
}

void normal(const at::Tensor& parameter, uint64_t seed, const std::string& name, double deviation) {
  const auto values =
      random::normal(seed, "init/" + name, 0, 0, parameter.size(0), columns(parameter));
  assign(parameter, values * deviation);
}

void uniform(const at::Tensor& parameter, uint64_t seed, const std::string& name, double bound) {
  const auto values =
      random::uniform(seed, "init/" + name, 0, 0, parameter.size(0), columns(parameter));
  assign(parameter, (values * 2 - 1) * bound);
}

}  // namespace mactok::init
