#include "runtime/engine.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <string>

#include "runtime/cuda_library.h"

namespace mactok {
namespace {

std::atomic<int> living{0};
std::atomic<int64_t> idle_milliseconds{10'000};

}  // namespace

std::shared_ptr<Engine> Engine::acquire(at::Device device) {
  static std::mutex mutex;
  static std::map<std::string, std::weak_ptr<Engine>> engines;
  const std::lock_guard lock(mutex);
  auto& known = engines[device.str()];
  auto engine = known.lock();
  if (!engine) known = engine = std::make_shared<Engine>(device);
  return engine;
}

int Engine::share(int threads) { return std::max(1, threads / std::max(1, living.load())); }

void Engine::release_when_idle(std::chrono::milliseconds idle) { idle_milliseconds = idle.count(); }

Engine::Engine(at::Device device, bool computes)
    : computes_(computes), thread_([this, device] { loop(device); }) {
  if (computes_) ++living;
}

Engine::~Engine() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  changed_.notify_all();
  thread_.join();
  if (computes_) --living;
}

void Engine::submit(const void* owner, Job job) {
  {
    const std::lock_guard lock(mutex_);
    queue_.push_back({owner, std::move(job)});
  }
  changed_.notify_all();
}

void Engine::cancel(const void* owner) {
  std::unique_lock lock(mutex_);
  std::erase_if(queue_, [owner](const Entry& entry) { return entry.owner == owner; });
  changed_.wait(lock, [this, owner] { return running_ != owner; });
}

void Engine::loop(at::Device device) {
  const auto ready = [this] { return closing_ || !queue_.empty(); };
  std::unique_lock lock(mutex_);
  while (true) {
    if (!changed_.wait_for(lock, std::chrono::milliseconds(idle_milliseconds), ready)) {
      lock.unlock();
      release_free_memory(device);
      lock.lock();
      changed_.wait(lock, ready);
    }
    if (queue_.empty()) return;
    {
      Entry entry = std::move(queue_.front());
      queue_.pop_front();
      running_ = entry.owner;
      lock.unlock();
      entry.job();
      // Frees what the job holds before it counts as done.
      entry.job = nullptr;
      lock.lock();
    }
    running_ = nullptr;
    changed_.notify_all();
  }
}

}  // namespace mactok
