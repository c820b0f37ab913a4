#include "testing/device/recorder.h"

#include <algorithm>

#include "testing/device/arena.h"

namespace mactok::stand_in {

void RecordedCall::repeat() const {
  // An output of another shape would be resized with a warning.
  for (const auto& [target, written] : outs) at::Tensor(written).resize_({0});
  torch::jit::Stack stack(arguments.begin(), arguments.end());
  operation.redispatchBoxed(c10::DispatchKeySet(c10::DispatchKey::CPU), &stack);
  for (const auto& [index, item, target] : results) {
    const auto& value = stack.at(index);
    const auto result = item ? value.toTensorVector().at(*item) : value.toTensor();
    at::Tensor(target).copy_(result);
  }
  for (const auto& [target, written] : outs) at::Tensor(target).copy_(written);
}

void Recorder::save(Block& block) {
  if (saved_.contains(block.begin)) return;
  const char* begin = operation_view(block.begin);
  auto& saved = saved_[block.begin];
  saved.generation = block.generation;
  // The graph's own memory has nothing to keep.
  if (block.pool != pool_) saved.bytes.assign(begin, begin + block.size);
}

std::vector<RecordedCall> Recorder::finish() {
  const StateLock lock(state_mutex());
  for (const auto& [begin, saved] : saved_) {
    const Block* block = find_block(begin);
    if (!block) continue;
    if (block->pool == pool_) {
      poison(*block);
    } else if (block->alive && block->generation == saved.generation) {
      std::copy(saved.bytes.begin(), saved.bytes.end(), operation_view(begin));
    }
  }
  saved_.clear();
  return std::move(calls_);
}

int pool_of(const Recorder* recorder) { return recorder ? recorder->pool() : 0; }

}  // namespace mactok::stand_in
