#pragma once

#include "runtime/torch.h"

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <torch/csrc/distributed/c10d/Store.hpp>
#include <vector>

namespace mactok {

/** What reductions are for; each channel has connections and an order of its own. */
enum class Channel { gradients, statistics, control };
constexpr size_t kChannels = 3;

struct PeersOptions {
  int rank, size;
  /** Where the store is, and who holds it, in words. */
  std::string store_place;
  /** For the ranks to meet, for a silent rank, and for one that others wait for. */
  std::chrono::milliseconds timeout;
};

/**
 * Watches the ranks of a job through their common store: each one reports several times per timeout
 * that it is alive and how far it is. Where one fails, falls silent or does not come to a reduction
 * that the others wait for, every wait ends with an error that names it.
 */
class Peers {
 public:
  using Clock = std::chrono::steady_clock;

  /** Opens a connection to the store, which only one thread uses. */
  using Connect = std::function<c10::intrusive_ptr<c10d::Store>()>;

  /** Waits until all ranks are there. Throws DistributedError naming those that are not. */
  Peers(const Connect& connect, PeersOptions options, const std::atomic<bool>& interrupted);
  ~Peers();
  Peers(const Peers&) = delete;
  Peers& operator=(const Peers&) = delete;

  /** Counts a reduction that this rank starts; returns its number. */
  uint64_t count(Channel channel);

  /** Whether this rank does something long that the others wait for. */
  void set_busy(bool busy) { busy_ = busy; }

  /** Throws DistributedError if the job has failed. */
  void check();

  /** The same if this reduction, which this rank has waited for since then, will not finish. */
  void check(Channel channel, uint64_t number, Clock::time_point since);

  /** Throws DistributedError with the reason for a reduction's failure. */
  [[noreturn]] void explain(const std::string& failure);

  /** Tells the other ranks that this one has failed, unless the job has failed already. */
  void fail(const std::string& reason);

  bool failed() const;

  /** Leaves in good order; the store's holder waits for the others, and they until it is closed. */
  void leave(bool holds_store, bool outlives);

 private:
  /** What is known of a rank. */
  struct Member {
    /** Its host and process. */
    std::string name;
    uint64_t beats = 0;
    std::array<uint64_t, kChannels> started{};
    bool busy = false;
    Clock::time_point changed;
  };

  std::string name(int rank) const;
  void join(const std::atomic<bool>& interrupted);
  void watch();
  /** Reports this rank, and reads the others'. */
  void exchange();
  void find_silent(Clock::time_point now);
  void set_failure(const std::string& reason);

  PeersOptions options_;
  std::chrono::milliseconds interval_;
  c10::intrusive_ptr<c10d::Store> store_;
  std::array<std::atomic<uint64_t>, kChannels> started_{};
  std::atomic<bool> busy_ = false;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Member> members_;
  std::optional<std::string> failure_;
  /** Of this rank, to be told to the others. */
  std::optional<std::string> own_failure_;
  bool told_ = false;
  /** When a rank was last busy: whoever waits for it gives it time from then on. */
  Clock::time_point busy_seen_;
  /** When the store last answered, and how often it did. */
  Clock::time_point answered_;
  uint64_t rounds_ = 0;
  bool closing_ = false;
  std::thread watcher_;
};

}  // namespace mactok
