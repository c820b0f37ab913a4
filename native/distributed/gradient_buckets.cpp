#include "distributed/gradient_buckets.h"

#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

#include <functional>

#include "runtime/profiler.h"

namespace mactok {
namespace {

/** As PyTorch's: large enough for the network's bandwidth, small enough to begin early. */
constexpr size_t kBucketBytes = size_t{25} << 20;

struct Hook : torch::autograd::PostAccumulateGradHook {
  explicit Hook(std::function<void()> call) : call(std::move(call)) {}
  void operator()(const at::Tensor& /*parameter*/) override { call(); }
  std::function<void()> call;
};

}  // namespace

GradientBuckets::GradientBuckets(std::vector<at::Tensor> parameters,
                                 std::shared_ptr<ProcessGroup> group)
    : group_(std::move(group)) {
  std::vector<at::Tensor> next;
  size_t bytes = 0;
  for (auto parameter = parameters.rbegin(); parameter != parameters.rend(); ++parameter) {
    if (!next.empty() && bytes + parameter->nbytes() > kBucketBytes) {
      add_bucket(std::exchange(next, {}));
      bytes = 0;
    }
    bytes += parameter->nbytes();
    next.push_back(*parameter);
  }
  if (!next.empty()) add_bucket(std::move(next));
}

GradientBuckets::~GradientBuckets() {
  for (const auto& bucket : buckets_) {
    for (const auto& parameter : bucket.parameters) {
      torch::autograd::impl::set_post_acc_grad_hooks(parameter, nullptr);
    }
  }
}

void GradientBuckets::add_bucket(std::vector<at::Tensor> parameters) {
  int64_t count = 0;
  for (const auto& parameter : parameters) count += parameter.numel();
  Bucket bucket;
  bucket.flat = at::zeros({count}, parameters[0].options().requires_grad(false));
  int64_t begin = 0;
  for (size_t i = 0; i < parameters.size(); ++i) {
    const auto& parameter = parameters[i];
    bucket.gradients.push_back(
        bucket.flat.narrow(0, begin, parameter.numel()).view(parameter.sizes()));
    begin += parameter.numel();
    torch::autograd::impl::set_post_acc_grad_hooks(
        parameter,
        std::make_unique<Hook>([this, index = buckets_.size(), i] { complete(index, i); }));
  }
  bucket.parameters = std::move(parameters);
  buckets_.push_back(std::move(bucket));
}

void GradientBuckets::begin() {
  is_last_pass_ = false;
  started_ = 0;
  for (auto& bucket : buckets_) {
    bucket.missing = bucket.parameters.size();
    bucket.sum = Reduction();
    for (auto& parameter : bucket.parameters) parameter.mutable_grad().reset();
  }
}

void GradientBuckets::start_at_last_pass() { is_last_pass_ = true; }

void GradientBuckets::keep(Bucket& bucket, size_t i) {
  const at::NoGradGuard no_grad;
  auto& gradient = bucket.parameters[i].mutable_grad();
  auto& kept = bucket.gradients[i];
  if (gradient.is_same(kept)) return;
  // A copy costs less than zeros to which the first pass would add.
  if (gradient.defined()) {
    kept.copy_(gradient);
  } else {
    kept.zero_();
  }
  gradient = kept;
}

void GradientBuckets::complete(size_t bucket, size_t i) {
  keep(buckets_[bucket], i);
  if (!is_last_pass_) return;
  const std::lock_guard lock(mutex_);
  if (--buckets_[bucket].missing == 0) start_complete();
}

void GradientBuckets::start_complete() {
  while (started_ < buckets_.size() && buckets_[started_].missing == 0) {
    auto& bucket = buckets_[started_++];
    bucket.sum = group_->start_sum(bucket.flat, Channel::gradients);
  }
}

void GradientBuckets::finish() {
  const Phase phase("reduction");
  // A parameter that a loss does not depend on has no gradient.
  for (auto& bucket : buckets_) {
    if (bucket.missing == 0) continue;
    for (size_t i = 0; i < bucket.parameters.size(); ++i) keep(bucket, i);
    bucket.missing = 0;
  }
  start_complete();
  for (auto& bucket : buckets_) bucket.sum.wait();
}

}  // namespace mactok
