#pragma once

#include "runtime/torch.h"

#include <functional>
#include <list>
#include <map>
#include <string>
#include <vector>

#include "runtime/cuda_library.h"

namespace mactok {

/** Named tensors that the host hands to work on a device: of a step, what all of it shares, then each micro-batch's. */
using Inputs = std::vector<std::map<std::string, at::Tensor>>;

/** Named tensors that such work gives back. */
using Outputs = std::map<std::string, at::Tensor>;

/**
 * Work on a device that can be recorded as a CUDA graph and replayed, so that one call of the host starts thousands of kernels.
 *
 * The work is a function of its inputs and of tensors that stay where they are, some of which it writes in place. Host code within
 * runs when it is recorded only: it may decide by the names, shapes and types of the inputs, for each of which there is a recording
 * of its own, and by nothing else that changes from call to call.
 */
class Replay {
 public:
  using Work = std::function<Outputs(const Inputs&)>;

  /**
   * `written`: what the work writes in place and others read. Without `record` each call runs the work. A CPU records nothing:
   * with `record` it runs the work on the buffers that a graph would read, which shows what a graph would compute.
   */
  Replay(at::Device device, bool record, std::vector<at::Tensor> written, Work work);

  /** Runs the work, the first time as it is, then recorded. The outputs are the caller's. */
  Outputs operator()(const Inputs& inputs);

 private:
  struct Recording {
    std::string key;
    Inputs inputs;  // the buffers that the graph reads
    Outputs outputs;
    std::shared_ptr<CudaGraph> graph;
    bool warm = false;
  };

  Recording& recording_of(const Inputs& inputs);

  at::Device device_;
  bool record_;
  std::vector<at::Tensor> written_;
  Work work_;
  std::list<Recording> recordings_;  // the most recently used first
};

}  // namespace mactok
