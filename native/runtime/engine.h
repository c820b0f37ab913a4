#pragma once

#include "runtime/torch.h"

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

namespace mactok {

/**
 * The thread that runs a device's LibTorch work, first in, first out.
 *
 * There is one engine per device and process, shared by all JavaScript environments (the main
 * thread and worker threads); `acquire` keeps them in a registry of the process. The thread ends
 * when the last environment releases its engine. One without work for ten seconds returns the
 * memory that the device caches.
 */
class Engine {
 public:
  using Job = std::function<void()>;

  static std::shared_ptr<Engine> acquire(at::Device device);

  /**
   * Each engine's part of `threads`, at least one. Engines have an OpenMP team each, and libgomp
   * puts every thread to sleep between loops once all teams together exceed the cores.
   */
  static int share(int threads);

  /** Changes after how much time without work engines return memory; tests do not wait that long. */
  static void release_when_idle(std::chrono::milliseconds idle);

  /** With `computes` it takes part in `share`. */
  explicit Engine(at::Device device, bool computes = true);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  /** Queues a job, which must not throw. `owner` identifies its environment. */
  void submit(const void* owner, Job job);

  /** Drops the owner's queued jobs and waits until none of its jobs is running. */
  void cancel(const void* owner);

 private:
  struct Entry {
    const void* owner;
    Job job;
  };

  void loop(at::Device device);

  const bool computes_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Entry> queue_;
  const void* running_ = nullptr;
  bool closing_ = false;
  std::thread thread_;
};

}  // namespace mactok
