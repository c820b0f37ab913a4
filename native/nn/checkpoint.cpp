#include "nn/checkpoint.h"

#include <ATen/autocast_mode.h>
#include <c10/util/ScopeExit.h>

#include <utility>

#include "runtime/autocast.h"
#include "runtime/gradients.h"

namespace mactok {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/** What the backward pass needs besides tensors; the context keeps it as a capsule. */
struct Segment : torch::CustomClassHolder {
  std::function<at::Tensor(const at::Tensor&)> f;
  Precision precision;
};

thread_local bool in_first_pass = false;

/**
 * Disables autocast's cache of cast weights until it is destroyed: weights cast without gradient
 * mode must not be reused with it.
 */
auto disable_autocast_cache() {
  const bool was_enabled = at::autocast::is_autocast_cache_enabled();
  at::autocast::set_autocast_cache_enabled(false);
  return c10::make_scope_exit(
      [was_enabled] { at::autocast::set_autocast_cache_enabled(was_enabled); });
}

struct Checkpoint : torch::autograd::Function<Checkpoint> {
  static at::Tensor forward(AutogradContext* context, const c10::intrusive_ptr<Segment>& segment,
                            const at::Tensor& x, at::TensorList parameters) {
    variable_list saved{x};
    saved.insert(saved.end(), parameters.begin(), parameters.end());
    context->save_for_backward(std::move(saved));
    context->saved_data["segment"] = c10::IValue::make_capsule(segment);
    const auto cache_guard = disable_autocast_cache();
    const auto pass_guard = c10::make_scope_exit(
        [was_in = std::exchange(in_first_pass, true)] { in_first_pass = was_in; });
    return segment->f(x);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto segment =
        c10::static_intrusive_pointer_cast<Segment>(context->saved_data["segment"].toCapsule());
    auto inputs = context->get_saved_variables();
    inputs[0] = inputs[0].detach().requires_grad_(inputs[0].requires_grad());

    const at::AutoGradMode with_gradients(true);
    const Autocast autocast(inputs[0].device().type(), segment->precision);
    const auto cache_guard = disable_autocast_cache();
    const auto output = segment->f(inputs[0]);

    variable_list wanted;
    for (const auto& input : inputs) {
      if (input.requires_grad()) wanted.push_back(input);
    }
    const auto computed = differentiate(output, wanted, gradients[0], {.allow_unused = true});
    // The segment itself has no gradient.
    variable_list result(1);
    for (size_t i = 0, next = 0; i < inputs.size(); ++i) {
      result.push_back(inputs[i].requires_grad() ? computed[next++] : at::Tensor());
    }
    return result;
  }
};

}  // namespace

bool in_checkpoint() { return in_first_pass; }

at::Tensor checkpoint(std::function<at::Tensor(const at::Tensor&)> f, const at::Tensor& x,
                      const std::vector<at::Tensor>& parameters) {
  auto segment = c10::make_intrusive<Segment>();
  segment->f = std::move(f);
  segment->precision = Autocast::current(x.device().type());
  // A TensorList, because autograd does not unpack a vector.
  return Checkpoint::apply(segment, x, at::TensorList(parameters));
}

}  // namespace mactok
