#pragma once

#include "runtime/torch.h"

#include <unordered_map>
#include <vector>

#include "runtime/autocast.h"

namespace mactok {

/**
 * Casts all trained parameters that a loss multiplies by with one operation, where autocast
 * launches one for each. The gradients are those of autocast's casts.
 */
class TrainedCasts {
 public:
  /** Does nothing but on CUDA in bf16: a CPU's layers keep their casts. */
  TrainedCasts(at::Device device, Precision precision)
      : applies_(device.is_cuda() && precision == Precision::bf16) {}

  /** Until its end `cast_trained` finds the casts on this thread. */
  class Scope {
   public:
    explicit Scope(TrainedCasts& casts);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    friend at::Tensor cast_trained(const at::Tensor& parameter);

    at::Tensor find(const at::Tensor& parameter);

    TrainedCasts& casts_;
    Scope* outer_;
    std::unordered_map<at::TensorImpl*, at::Tensor> values_;
  };

 private:
  bool applies_;
  /** What the scopes so far were asked for. */
  std::vector<at::Tensor> parameters_;
};

/**
 * A trained parameter in bfloat16; as it is, for autocast to cast, outside of a scope, in
 * checkpoints, and when it is needed for the first time.
 */
at::Tensor cast_trained(const at::Tensor& parameter);

}  // namespace mactok
