#pragma once

#include "runtime/torch.h"

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/Work.hpp>
#include <vector>

#include "distributed/peers.h"

namespace mactok {

struct ProcessGroupOptions {
  int rank, size;
  /** Where the ranks meet: a new file that all see (LibTorch's FileStore); empty: an address. */
  std::string file;
  /** The address of LibTorch's TCPStore. */
  std::string host;
  uint16_t port;
  /** Whether this process holds the store; else whether rank 0 does, or what outlives the job. */
  bool holds_store, outlives;
  /** Of the keys in the store, which an earlier attempt of the job may have used, too. */
  std::string prefix;
  /** See PeersOptions. */
  std::chrono::milliseconds timeout;
  /** The device whose tensors are reduced. */
  at::Device device;
  /** Once true, all waits end, now and later: this process ends. */
  std::shared_ptr<std::atomic<bool>> interrupted;
};

/** A reduction that has been started. */
class Reduction {
 public:
  Reduction() = default;

  /** Waits for it (a CUDA device's current stream does). Throws DistributedError. */
  void wait();

 private:
  friend class ProcessGroup;
  struct State;
  std::shared_ptr<State> state_;
};

/**
 * The ranks of a job, and their reductions by LibTorch's c10d. Each rank starts the same reductions
 * in the same order on each channel. Tensors are contiguous and are changed in place; all ranks get
 * the same bits.
 */
class ProcessGroup {
 public:
  /**
   * Waits until all ranks have joined. Throws DistributedError naming those that have not, or the
   * address that cannot be used.
   */
  explicit ProcessGroup(ProcessGroupOptions options);
  ~ProcessGroup();
  ProcessGroup(const ProcessGroup&) = delete;
  ProcessGroup& operator=(const ProcessGroup&) = delete;

  int rank() const { return options_.rank; }
  int size() const { return options_.size; }

  /** Starts to add up the ranks' tensors. */
  Reduction start_sum(const at::Tensor& tensor, Channel channel);

  void sum(const at::Tensor& tensor, Channel channel = Channel::statistics);
  void max(const at::Tensor& tensor, Channel channel = Channel::statistics);

  /** Copies a rank's tensors to all ranks, many small ones at once. */
  void broadcast(const std::vector<at::Tensor>& tensors, int root = 0);

  /** Gives rank 0 the bytes of each rank, by rank, and the others none; null where no rank has any. */
  std::optional<std::vector<at::Tensor>> gather(const at::Tensor& bytes);

  /** See Peers. */
  void set_busy(bool busy) { peers_->set_busy(busy); }
  void fail(const std::string& reason) { peers_->fail(reason); }

  /**
   * Leaves in good order, after a reduction that all ranks have finished; all ranks may then meet
   * again at the same place. Reductions are errors from then on.
   */
  void leave();

 private:
  using Reduce = c10d::ReduceOp::RedOpType;

  c10d::Backend& backend(Channel channel) const;
  /** Whether a channel reduces by NCCL, for which the host does not wait. */
  bool is_on_device(Channel channel) const {
    return options_.device.is_cuda() && channel != Channel::control;
  }
  /** Starts what `operation` starts on the channel's backend. */
  template <typename Operation>
  Reduction start(Channel channel, Operation operation);
  Reduction start_reduce(const at::Tensor& tensor, Reduce operation, Channel channel);
  void broadcast_flat(const std::vector<at::Tensor>& tensors, int root);
  Reduction watch(c10::intrusive_ptr<c10d::Work> work, Channel channel, uint64_t number);

  ProcessGroupOptions options_;
  c10::intrusive_ptr<c10d::Store> store_;
  std::unique_ptr<Peers> peers_;
  std::array<c10::intrusive_ptr<c10d::Backend>, kChannels> backends_;
};

}  // namespace mactok
