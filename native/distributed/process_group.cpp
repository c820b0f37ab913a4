#include "distributed/process_group.h"

#include <c10/util/Flags.h>

#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <mutex>
#include <stdexcept>
#include <torch/csrc/distributed/c10d/FileStore.hpp>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include "distributed/gloo.h"
#include "runtime/cuda_library.h"
#include "runtime/errors.h"

#ifndef _WIN32
#include <unistd.h>
#endif

C10_DECLARE_int(caffe2_log_level);

namespace mactok {
namespace {

using std::chrono::milliseconds;

/** Peers notice what hangs, and name it: the backends' own limit is never reached. */
constexpr milliseconds kNoLimit = std::chrono::hours(24 * 14);

/** Of c10's levels: no information, no warnings. */
constexpr int kErrorsOnly = 2;

/** Bytes that are broadcast at once. */
constexpr size_t kChunk = size_t{25} << 20;

std::string describe_store(const ProcessGroupOptions& options) {
  if (!options.file.empty()) return "the file " + options.file;
  const auto address = options.host + ":" + std::to_string(options.port);
  return (options.outlives ? "the store of the launcher at " : "the store of rank 0 at ") + address;
}

std::string first_line(const std::exception& error) {
  const auto* from_c10 = dynamic_cast<const c10::Error*>(&error);
  const std::string text = from_c10 ? from_c10->what_without_backtrace() : error.what();
  return text.substr(0, text.find('\n'));
}

/** The store in a file, which the last rank to leave removes. */
c10::intrusive_ptr<c10d::Store> open_file(const ProcessGroupOptions& options) {
  const auto fail = [&](const std::string& reason) {
    return DistributedError("The ranks cannot meet at the file " + options.file + ": " + reason +
                            ". Name a new file in a folder that all machines see (--rdzv, "
                            "MASTER_ADDR)");
  };
  // FileStore would wait for it.
  const auto folder = std::filesystem::path(options.file).parent_path();
  std::error_code error;
  if (!std::filesystem::is_directory(folder, error)) throw fail("there is no such folder");
  try {
    auto store = c10::make_intrusive<c10d::FileStore>(options.file, options.size);
    store->setTimeout(options.timeout);
    return c10::make_intrusive<c10d::PrefixStore>(options.prefix, store);
  } catch (const std::exception& caught) {
    throw fail(first_line(caught));
  }
}

/** Refuses a file that another job has left. */
void require_new(const ProcessGroupOptions& options, c10d::Store& store) {
  if (options.file.empty() || store.add("opened/" + std::to_string(options.rank), 1) == 1) return;
  throw DistributedError("The ranks cannot meet at the file " + options.file +
                         ", which an earlier job has left: remove it, or name another file");
}

/** A connection to the store; with `holds` also the store. Tries until the timeout. */
c10::intrusive_ptr<c10d::Store> connect(const ProcessGroupOptions& options, bool holds,
                                        const std::atomic<bool>& interrupted) {
  if (!options.file.empty()) return open_file(options);
  const auto deadline = Peers::Clock::now() + options.timeout;
  c10d::TCPStoreOptions settings;
  settings.port = options.port;
  settings.isServer = holds;
  settings.numWorkers = std::nullopt;
  settings.waitWorkers = false;
  // In short attempts, because nothing ends one.
  settings.timeout = std::clamp(options.timeout, milliseconds(1000), milliseconds(3000));
  while (true) {
    try {
      auto store = c10::make_intrusive<c10d::TCPStore>(options.host, settings);
      store->setTimeout(options.timeout);
      return c10::make_intrusive<c10d::PrefixStore>(options.prefix, store);
    } catch (const std::exception& error) {
      const auto address = options.host + ":" + std::to_string(options.port);
      if (holds) {
        throw DistributedError("Rank 0 cannot listen on " + address + ": " + first_line(error) +
                               ". Choose another MASTER_PORT (--rdzv), or another address");
      }
      if (interrupted) throw DistributedError("Interrupted while looking for rank 0");
      if (Peers::Clock::now() > deadline) {
        throw DistributedError("Rank 0 does not answer at " + address + ": " + first_line(error));
      }
    }
  }
}

#ifdef __linux__
/** Leaves without the destructors of libraries, which threads that still wait would run into. */
void leave_at_once(int status, void*) {
  std::fflush(nullptr);
  _exit(status);
}
#endif

}  // namespace

struct Reduction::State {
  c10::intrusive_ptr<c10d::Work> work;
  Peers* peers;
  std::shared_ptr<const std::atomic<bool>> interrupted;
  Channel channel;
  uint64_t number;
  bool waits_for_host;
  std::mutex mutex;
  std::condition_variable changed;
  bool done = false;
};

void Reduction::wait() {
  const auto state = std::exchange(state_, nullptr);
  if (!state) return;
  if (state->waits_for_host) {
    const auto since = Peers::Clock::now();
    std::unique_lock lock(state->mutex);
    while (!state->changed.wait_for(lock, milliseconds(100), [&] { return state->done; })) {
      if (*state->interrupted) throw DistributedError("Interrupted while waiting for other ranks");
      state->peers->check(state->channel, state->number, since);
    }
  }
  try {
    state->work->wait();
  } catch (const std::exception& error) {
    state->peers->explain(first_line(error));
  }
}

ProcessGroup::ProcessGroup(ProcessGroupOptions options) : options_(std::move(options)) {
  // LibTorch logs each lost connection with its stack. What it means, errors say.
  if (!std::getenv("TORCH_CPP_LOG_LEVEL")) FLAGS_caffe2_log_level = kErrorsOnly;
  store_ = connect(options_, options_.holds_store, *options_.interrupted);
  require_new(options_, *store_);
  const auto connect_again = [&] { return connect(options_, false, *options_.interrupted); };
  peers_ = std::make_unique<Peers>(connect_again,
                                   PeersOptions{.rank = options_.rank,
                                                .size = options_.size,
                                                .store_place = describe_store(options_),
                                                .timeout = options_.timeout},
                                   *options_.interrupted);
  try {
    for (size_t i = 0; i < kChannels; ++i) {
      const auto place =
          c10::make_intrusive<c10d::PrefixStore>("channel/" + std::to_string(i), store_);
      if (is_on_device(static_cast<Channel>(i))) {
        backends_[i] =
            open_nccl(place, options_.rank, options_.size, options_.device, options_.timeout);
        continue;
      }
      const bool is_large = i == static_cast<size_t>(Channel::gradients);
      backends_[i] = open_gloo(place, {.rank = options_.rank,
                                       .size = options_.size,
                                       .host = options_.host,
                                       .port = options_.port,
                                       .threads = is_large ? 2 : 1,
                                       .timeout = options_.timeout});
      backends_[i]->setTimeout(kNoLimit);
    }
  } catch (const std::exception& error) {
    peers_->explain("the ranks cannot connect to each other: " + first_line(error));
  }
}

ProcessGroup::~ProcessGroup() {
  if (!peers_ || (!peers_->failed() && !*options_.interrupted)) return;
  // Their threads may wait for a rank that is lost.
  for (auto& backend : backends_) backend.release();
  store_.release();
  peers_.release();
#ifdef __linux__
  on_exit(leave_at_once, nullptr);
#endif
}

Reduction ProcessGroup::watch(c10::intrusive_ptr<c10d::Work> work, Channel channel,
                              uint64_t number) {
  Reduction reduction;
  reduction.state_ = std::make_shared<Reduction::State>();
  auto& state = *reduction.state_;
  state.work = std::move(work);
  state.peers = peers_.get();
  state.interrupted = options_.interrupted;
  state.channel = channel;
  state.number = number;
  state.waits_for_host = !is_on_device(channel);
  if (state.waits_for_host) {
    state.work->getFuture()->addCallback([state = reduction.state_](c10::ivalue::Future&) {
      const std::lock_guard lock(state->mutex);
      state->done = true;
      state->changed.notify_all();
    });
  }
  return reduction;
}

template <typename Operation>
Reduction ProcessGroup::start(Channel channel, Operation operation) {
  peers_->check();
  const auto number = peers_->count(channel);
  try {
    return watch(operation(backend(channel)), channel, number);
  } catch (const std::exception& error) {
    peers_->explain(first_line(error));
  }
}

Reduction ProcessGroup::start_reduce(const at::Tensor& tensor, Reduce operation, Channel channel) {
  TORCH_CHECK(tensor.is_contiguous(), "a reduction needs a contiguous tensor");
  c10d::AllreduceOptions settings;
  settings.reduceOp = operation;
  settings.timeout = kNoLimit;
  std::vector<at::Tensor> tensors{tensor.detach()};
  return start(channel, [&](auto& backend) { return backend.allreduce(tensors, settings); });
}

Reduction ProcessGroup::start_sum(const at::Tensor& tensor, Channel channel) {
  return start_reduce(tensor, Reduce::SUM, channel);
}

void ProcessGroup::sum(const at::Tensor& tensor, Channel channel) {
  start_reduce(tensor, Reduce::SUM, channel).wait();
}

void ProcessGroup::max(const at::Tensor& tensor, Channel channel) {
  start_reduce(tensor, Reduce::MAX, channel).wait();
}

std::optional<std::vector<at::Tensor>> ProcessGroup::gather(const at::Tensor& bytes) {
  constexpr auto channel = Channel::control;
  const auto count = bytes.numel();
  const auto most = at::full({1}, count, at::kLong);
  max(most, channel);
  const auto longest = most.item<int64_t>();
  if (longest == 0) return std::nullopt;
  // Gloo gathers tensors of one size: the bytes, with their number before them.
  constexpr int64_t kHead = sizeof(int64_t);
  const auto own = at::zeros({kHead + longest}, at::kByte);
  own.narrow(0, 0, kHead).view(at::kLong).fill_(count);
  own.narrow(0, kHead, count).copy_(bytes);
  std::vector<at::Tensor> inputs{own};
  std::vector<std::vector<at::Tensor>> outputs;
  if (rank() == 0) {
    outputs.emplace_back();
    for (int i = 0; i < size(); ++i) outputs[0].push_back(at::empty_like(own));
  }
  c10d::GatherOptions settings;
  settings.timeout = kNoLimit;
  const auto operation = [&](auto& backend) { return backend.gather(outputs, inputs, settings); };
  start(channel, operation).wait();
  std::vector<at::Tensor> gathered;
  if (rank() != 0) return gathered;
  for (const auto& message : outputs[0]) {
    const auto length = message.narrow(0, 0, kHead).view(at::kLong).item<int64_t>();
    gathered.push_back(message.narrow(0, kHead, length));
  }
  return gathered;
}

void ProcessGroup::broadcast(const std::vector<at::Tensor>& tensors, int root) {
  const at::NoGradGuard no_grad;
  std::map<at::ScalarType, std::vector<at::Tensor>> by_dtype;
  for (const auto& tensor : tensors) {
    by_dtype[tensor.scalar_type()].push_back(tensor.detach().view({-1}));
  }
  for (const auto& [dtype, all] : by_dtype) {
    for (size_t begin = 0, end = 0; begin < all.size(); begin = end) {
      for (size_t bytes = 0; end < all.size() && (end == begin || bytes < kChunk); ++end) {
        bytes += all[end].nbytes();
      }
      const std::vector<at::Tensor> some(all.begin() + static_cast<int64_t>(begin),
                                         all.begin() + static_cast<int64_t>(end));
      broadcast_flat(some, root);
    }
  }
}

void ProcessGroup::broadcast_flat(const std::vector<at::Tensor>& tensors, int root) {
  constexpr auto channel = Channel::gradients;
  c10d::BroadcastOptions settings;
  settings.rootRank = root;
  settings.timeout = kNoLimit;
  std::vector<at::Tensor> flat{at::cat(tensors)};
  start(channel, [&](auto& backend) { return backend.broadcast(flat, settings); }).wait();
  if (rank() == root) return;
  int64_t begin = 0;
  for (auto tensor : tensors) {
    tensor.copy_(flat[0].narrow(0, begin, tensor.numel()));
    begin += tensor.numel();
  }
}

c10d::Backend& ProcessGroup::backend(Channel channel) const {
  const auto& backend = backends_[static_cast<size_t>(channel)];
  if (!backend) throw DistributedError("This process has left the other ranks");
  return *backend;
}

void ProcessGroup::leave() {
  peers_->leave(options_.holds_store, options_.outlives);
  if (peers_->failed()) return;
  for (auto& backend : backends_) backend.reset();
  // The last reference: where this process holds the store, it closes.
  store_.reset();
}

}  // namespace mactok
