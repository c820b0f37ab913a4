#include "testing/device/work.h"

#include <ATen/Parallel.h>
#include <ATen/ops/_neg_view.h>
#include <ATen/ops/conj.h>
#include <ATen/ops/empty_strided.h>
#include <ATen/ops/from_blob.h>

#include "testing/device/arena.h"
#include "testing/device/faults.h"
#include "testing/device/recorder.h"

namespace mactok::stand_in {
namespace {

/**
 * How sums round depends on the number of threads, and each thread of the host has its own: a
 * backward pass runs on one of LibTorch's, the replay of its graph on the engine's.
 */
void use_one_thread() {
  if (at::get_num_threads() != 1) at::set_num_threads(1);
}

}  // namespace

Work::Work(size_t stream, std::string name)
    : name_(std::move(name)), recorder_(recorder_of(stream)) {
  use_one_thread();
  if (!recorder_) stamp_ = launch(stream);
}

void Work::use(const at::Tensor& tensor, bool writes) {
  if (tensor.numel() == 0) return;
  const StateLock lock(state_mutex());
  Block* block = find_block(tensor.storage().data());
  if (!block || !block->alive) report_fault(name_ + " uses memory that was freed");
  add(*block, writes);
}

void Work::use(const Use& use, int pool) {
  const StateLock lock(state_mutex());
  Block* block = find_block(use.block);
  const bool same = block && block->alive && block->generation == use.generation;
  if (!same && !(block && block->pool == pool)) {
    report_fault(name_ + " in a graph uses memory that was freed since it was recorded");
  }
  add(*block, use.writes);
}

void Work::add(Block& block, bool writes) {
  uses_.push_back({block.begin, block.generation, writes});
  if (recorder_) {
    if (writes) recorder_->save(block);
  } else if (writes) {
    block.history.write(*stamp_, name_);
  } else {
    block.history.read(*stamp_, name_);
  }
}

at::Tensor on_host(const at::Tensor& tensor) {
  const auto options = at::TensorOptions().dtype(tensor.dtype()).device(at::kCPU);
  if (tensor.numel() == 0) return at::empty_strided(tensor.sizes(), tensor.strides(), options);
  auto host = at::from_blob(operation_view(tensor.const_data_ptr()), tensor.sizes(),
                            tensor.strides(), options);
  if (tensor.is_conj()) host = at::conj(host);
  if (tensor.is_neg()) host = at::_neg_view(host);
  return host;
}

}  // namespace mactok::stand_in
