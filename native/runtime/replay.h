#pragma once

#include "runtime/torch.h"

#include <functional>
#include <list>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "runtime/cuda_library.h"
#include "runtime/kept_cast.h"
#include "runtime/written.h"

namespace mactok {

/** Named tensors that work on a device returns. */
using Outputs = std::map<std::string, at::Tensor>;

/** What the host may decide by: which tensors are defined, their types and shapes. */
std::string describe_tensors(const std::vector<at::Tensor*>& tensors);

/** Allocates tensors of the same types and shapes in place of the defined ones. */
void replace_by_buffers(const std::vector<at::Tensor*>& tensors);

/** Copies each defined tensor into the buffer at the same place. */
void fill_buffers(const std::vector<at::Tensor*>& buffers, const std::vector<at::Tensor*>& tensors);

/**
 * Work on a device that can be recorded as a CUDA graph and replayed, so that one call of the host
 * starts thousands of kernels.
 *
 * The work is a function of its inputs and of tensors that stay where they are, some of which it
 * writes in place. Its host code runs only when it is recorded: it may decide by which inputs are
 * defined, and by their types and shapes (each combination has its own recording), and by nothing
 * else that changes from call to call.
 *
 * `Inputs` can be copied and has `std::vector<at::Tensor*> tensors()`, all of its tensors in a
 * fixed order.
 */
template <typename Inputs>
class Replay {
 public:
  using Work = std::function<Outputs(const Inputs&)>;

  /**
   * `written`: what the work writes in place and others read. Without `record` each call runs the
   * work. A CPU records nothing: with `record` it runs the work on the buffers that a graph would
   * read, which shows what a graph would compute.
   */
  Replay(at::Device device, bool record, std::vector<at::Tensor> written, Work work)
      : device_(device), record_(record), written_(std::move(written)), work_(std::move(work)) {}

  /**
   * Runs the work directly the first time, then records and replays it. The caller owns the
   * outputs.
   */
  Outputs operator()(Inputs inputs) {
    if (!record_) return work_(inputs);
    const at::NoGradGuard no_grad;
    const auto tensors = inputs.tensors();
    auto& recording = find_or_add(inputs, describe_tensors(tensors));
    try {
      fill_buffers(recording.inputs.tensors(), tensors);
      if (!recording.graph) return work_(recording.inputs);
      recording.casts.refresh();
      // The first run lets libraries choose algorithms and allocate workspaces.
      if (!recording.warm) {
        const CudaGraph::Scope scope(*recording.graph, /*record=*/false);
        const RecordedCasts::Scope casts(recording.casts, /*recorded=*/false);
        recording.warm = true;
        return work_(recording.inputs);
      }
      if (recording.outputs.empty()) {
        // A recording can neither use nor return the memory that earlier work left cached.
        release_free_memory(device_);
        const CudaGraph::Scope scope(*recording.graph, /*record=*/true);
        const RecordedCasts::Scope casts(recording.casts, /*recorded=*/true);
        recording.outputs = work_(recording.inputs);
      }
      recording.graph->replay();
    } catch (...) {
      recordings_.pop_front();
      throw;
    }
    count_writes(written_);
    Outputs outputs;
    for (const auto& [name, tensor] : recording.outputs) outputs.emplace(name, tensor.clone());
    return outputs;
  }

 private:
  /**
   * A graph holds all memory of its work, so only a few are kept: say, guided and unguided, and a
   * smaller last batch.
   */
  static constexpr size_t kMaxRecordings = 4;

  struct Recording {
    std::string key;
    /** The buffers that the graph reads. */
    Inputs inputs;
    Outputs outputs;
    RecordedCasts casts;
    std::shared_ptr<CudaGraph> graph;
    bool warm = false;
  };

  Recording& find_or_add(const Inputs& inputs, std::string key) {
    for (auto it = recordings_.begin(); it != recordings_.end(); ++it) {
      if (it->key != key) continue;
      recordings_.splice(recordings_.begin(), recordings_, it);
      return recordings_.front();
    }
    if (recordings_.size() == kMaxRecordings) recordings_.pop_back();
    auto buffers = inputs;
    replace_by_buffers(buffers.tensors());
    recordings_.push_front({.key = std::move(key),
                            .inputs = std::move(buffers),
                            .outputs = {},
                            .casts = {},
                            .graph = device_.is_cuda() ? open_cuda_graph(device_) : nullptr});
    return recordings_.front();
  }

  at::Device device_;
  bool record_;
  std::vector<at::Tensor> written_;
  Work work_;
  /** The most recently used first. */
  std::list<Recording> recordings_;
};

}  // namespace mactok
