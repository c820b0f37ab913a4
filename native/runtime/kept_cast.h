#pragma once

#include "runtime/torch.h"

#include <memory>
#include <vector>

namespace mactok {

/** A weight in another dtype. */
struct KeptCast {
  at::Tensor weight, value;
  /** The weight's version that `value` has. */
  int64_t version;
};

/**
 * The weight in another dtype, without gradients. `kept` keeps it until the weight is written to;
 * then it is written again where it is, because recordings read it there.
 */
at::Tensor cast_weight(std::shared_ptr<KeptCast>& kept, const at::Tensor& weight,
                       at::ScalarType dtype);

/**
 * The parameter as autocast casts it, kept as by `cast_weight`, or as by `cast_trained` where it
 * trains. The parameter itself where autocast is off.
 */
at::Tensor cast_parameter(std::shared_ptr<KeptCast>& kept, const at::Tensor& parameter);

/** The casts that a recording reads: it keeps them alive, and current whenever it is replayed. */
class RecordedCasts {
 public:
  /** Until its end this thread's casts are added. With `recorded` work is not run but recorded. */
  class Scope {
   public:
    Scope(RecordedCasts& casts, bool recorded);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

    RecordedCasts& casts;
    const bool recorded;

   private:
    Scope* outer_;
  };

  void add(const std::shared_ptr<KeptCast>& cast);

  /** Casts those weights again that were written to. */
  void refresh();

 private:
  std::vector<std::shared_ptr<KeptCast>> casts_;
};

}  // namespace mactok
