#pragma once

#include "runtime/torch.h"

#include <memory>
#include <mutex>
#include <vector>

#include "distributed/process_group.h"

namespace mactok {

/**
 * Adds up the ranks' gradients while the backward pass still computes others: the parameters'
 * `.grad` are views of flat buckets, in reverse order, because the last layers' gradients are
 * complete first; each bucket's sum is started when it is.
 */
class GradientBuckets {
 public:
  /** parameters: all of one dtype and device. They must outlive this, and have no other buckets. */
  GradientBuckets(std::vector<at::Tensor> parameters, std::shared_ptr<ProcessGroup> group);
  ~GradientBuckets();
  GradientBuckets(const GradientBuckets&) = delete;
  GradientBuckets& operator=(const GradientBuckets&) = delete;

  /** Before a step's backward passes: there are no gradients. */
  void begin();

  /** Before the last backward pass of a step. */
  void start_at_last_pass();

  /** After it: waits until all gradients are the ranks' sums. */
  void finish();

 private:
  struct Bucket {
    std::vector<at::Tensor> parameters, gradients;
    at::Tensor flat;
    /** Parameters without their gradient. */
    size_t missing = 0;
    Reduction sum;
  };

  void add_bucket(std::vector<at::Tensor> parameters);
  /** Moves a parameter's gradient, the bucket's i-th, into the bucket, unless it is there. */
  static void keep(Bucket& bucket, size_t i);
  /** Called when that gradient of a pass is complete. */
  void complete(size_t bucket, size_t i);
  void start_complete();

  std::shared_ptr<ProcessGroup> group_;
  std::vector<Bucket> buckets_;
  /** Threads of the backward pass complete gradients. */
  std::mutex mutex_;
  bool is_last_pass_ = false;
  /** How many have been started; every rank starts them in order. */
  size_t started_ = 0;
};

}  // namespace mactok
