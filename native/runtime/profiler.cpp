#include "runtime/profiler.h"

#include <chrono>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <unordered_map>

namespace mactok {
namespace {

using Clock = std::chrono::steady_clock;

class Recorder {
 public:
  int64_t now() const {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - start_).count();
  }

  void add(const at::RecordFunction& function, int64_t begin) {
    const int64_t end = now();
    const std::lock_guard lock(mutex_);
    const auto [name, added] = names_.try_emplace(function.name(), names_.size());
    if (added) profile_.names.push_back(name->first);
    profile_.spans.push_back({.name = static_cast<uint32_t>(name->second),
                              .thread = static_cast<uint32_t>(function.threadId()),
                              .number = function.seqNr(),
                              .begin = begin,
                              .end = end});
  }

  Profile take() {
    const std::lock_guard lock(mutex_);
    return std::move(profile_);
  }

 private:
  const Clock::time_point start_ = Clock::now();
  std::mutex mutex_;
  std::unordered_map<std::string, size_t> names_;
  Profile profile_;
};

/** LibTorch's callbacks are plain functions, so the recorder is global to the process. */
struct Active {
  std::mutex mutex;
  std::shared_ptr<Recorder> recorder;
  at::CallbackHandle handle = at::INVALID_CALLBACK_HANDLE;
};

Active& active() {
  static Active instance;
  return instance;
}

/** Owns its recorder, because an operation may end after the recording. */
struct Begun : at::ObserverContext {
  std::shared_ptr<Recorder> recorder;
  int64_t begin = 0;
};

std::unique_ptr<at::ObserverContext> began(const at::RecordFunction&) {
  auto begun = std::make_unique<Begun>();
  {
    const std::lock_guard lock(active().mutex);
    begun->recorder = active().recorder;
  }
  if (begun->recorder) begun->begin = begun->recorder->now();
  return begun;
}

void ended(const at::RecordFunction& function, at::ObserverContext* context) {
  const auto& begun = static_cast<const Begun&>(*context);
  if (begun.recorder) begun.recorder->add(function, begun.begin);
}

}  // namespace

void start_profile() {
  {
    const std::lock_guard lock(active().mutex);
    if (active().recorder) throw std::runtime_error("A profile is already being recorded");
    active().recorder = std::make_shared<Recorder>();
  }
  active().handle = at::addGlobalCallback(
      at::RecordFunctionCallback(began, ended)
          .scopes({at::RecordScope::FUNCTION, at::RecordScope::BACKWARD_FUNCTION,
                   at::RecordScope::USER_SCOPE}));
}

Profile stop_profile() {
  std::shared_ptr<Recorder> recorder;
  {
    const std::lock_guard lock(active().mutex);
    recorder = std::move(active().recorder);
    active().recorder = nullptr;
  }
  if (!recorder) throw std::runtime_error("No profile is being recorded");
  at::removeCallback(active().handle);
  return recorder->take();
}

}  // namespace mactok
