#include "runtime/gradients.h"

#include <c10/core/impl/LocalDispatchKeySet.h>

namespace mactok {

void run_backward(const at::Tensor& loss) {
  const c10::impl::ExcludeDispatchKeyGuard no_autocast(c10::autocast_dispatch_keyset);
  loss.backward();
}

std::vector<at::Tensor> differentiate(const at::Tensor& output,
                                      const std::vector<at::Tensor>& inputs,
                                      const at::Tensor& upstream, DifferentiateOptions options) {
  const c10::impl::ExcludeDispatchKeyGuard no_autocast(c10::autocast_dispatch_keyset);
  torch::autograd::variable_list upstreams;
  if (upstream.defined()) upstreams.push_back(upstream);
  return torch::autograd::grad({output}, inputs, upstreams, options.retain_graph,
                               /*create_graph=*/false, options.allow_unused);
}

}  // namespace mactok
