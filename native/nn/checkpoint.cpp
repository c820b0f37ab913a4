#include "nn/checkpoint.h"

#include <ATen/autocast_mode.h>

#include <utility>

#include "runtime/autocast.h"

namespace mactok {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/** What the backward pass needs besides tensors; travels in the context as a capsule. */
struct Segment : torch::CustomClassHolder {
  std::function<at::Tensor(const at::Tensor&)> f;
  Precision precision;
};

/** Autocast keeps cast weights for reuse. Those cast without gradient mode must not be reused with it, so none are kept here. */
class NoAutocastCache {
 public:
  NoAutocastCache() : was_(at::autocast::is_autocast_cache_enabled()) {
    at::autocast::set_autocast_cache_enabled(false);
  }
  ~NoAutocastCache() { at::autocast::set_autocast_cache_enabled(was_); }
  NoAutocastCache(const NoAutocastCache&) = delete;
  NoAutocastCache& operator=(const NoAutocastCache&) = delete;

 private:
  bool was_;
};

thread_local bool first_pass = false;

class FirstPass {
 public:
  FirstPass() : was_(std::exchange(first_pass, true)) {}
  ~FirstPass() { first_pass = was_; }
  FirstPass(const FirstPass&) = delete;
  FirstPass& operator=(const FirstPass&) = delete;

 private:
  bool was_;
};

struct Checkpoint : torch::autograd::Function<Checkpoint> {
  static at::Tensor forward(AutogradContext* context, const c10::intrusive_ptr<Segment>& segment,
                            const at::Tensor& x, at::TensorList parameters) {
    variable_list saved{x};
    saved.insert(saved.end(), parameters.begin(), parameters.end());
    context->save_for_backward(std::move(saved));
    context->saved_data["segment"] = c10::IValue::make_capsule(segment);
    const NoAutocastCache no_cache;
    const FirstPass first;
    return segment->f(x);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto segment =
        c10::static_intrusive_pointer_cast<Segment>(context->saved_data["segment"].toCapsule());
    auto inputs = context->get_saved_variables();
    inputs[0] = inputs[0].detach().requires_grad_(inputs[0].requires_grad());

    const at::AutoGradMode with_gradients(true);
    const Autocast autocast(inputs[0].device().type(), segment->precision);
    const NoAutocastCache no_cache;
    const auto output = segment->f(inputs[0]);

    variable_list wanted;
    for (const auto& input : inputs) {
      if (input.requires_grad()) wanted.push_back(input);
    }
    const auto found = torch::autograd::grad({output}, wanted, {gradients[0]}, false, false, true);
    variable_list result(1);  // the segment has no gradient
    for (size_t i = 0, next = 0; i < inputs.size(); ++i) {
      result.push_back(inputs[i].requires_grad() ? found[next++] : at::Tensor());
    }
    return result;
  }
};

}  // namespace

bool in_checkpoint() { return first_pass; }

at::Tensor checkpoint(std::function<at::Tensor(const at::Tensor&)> f, const at::Tensor& x,
                      const std::vector<at::Tensor>& parameters) {
  auto segment = c10::make_intrusive<Segment>();
  segment->f = std::move(f);
  segment->precision = Autocast::current(x.device().type());
  // A list: autograd does not look into a vector.
  return Checkpoint::apply(segment, x, at::TensorList(parameters));
}

}  // namespace mactok
