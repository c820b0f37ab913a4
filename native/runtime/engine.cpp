#include "runtime/engine.h"

#include <map>
#include <string>

namespace mactok {

std::shared_ptr<Engine> Engine::acquire(at::Device device) {
  static std::mutex mutex;
  static std::map<std::string, std::weak_ptr<Engine>> engines;
  const std::lock_guard lock(mutex);
  auto& known = engines[device.str()];
  auto engine = known.lock();
  if (!engine) known = engine = std::make_shared<Engine>(device);
  return engine;
}

Engine::Engine(at::Device device) : thread_([this, device] { loop(device); }) {}

Engine::~Engine() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  changed_.notify_all();
  thread_.join();
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
  const c10::OptionalDeviceGuard guard(device.is_cuda() ? std::optional(device) : std::nullopt);
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return closing_ || !queue_.empty(); });
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
