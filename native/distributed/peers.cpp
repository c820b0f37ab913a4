#include "distributed/peers.h"

#include <algorithm>
#include <array>
#include <sstream>

#include "runtime/errors.h"

#ifdef _WIN32
#include <process.h>
#else
#include <unistd.h>
#endif

namespace mactok {
namespace {

using std::chrono::milliseconds;

std::string own_name() {
#ifdef _WIN32
  return "process " + std::to_string(_getpid());
#else
  std::array<char, 256> host{};
  gethostname(host.data(), host.size() - 1);
  return std::string(host.data()) + ", process " + std::to_string(getpid());
#endif
}

std::string in_seconds(milliseconds time) {
  const double seconds = static_cast<double>(time.count()) / 1000;
  std::ostringstream text;
  text << seconds << " s";
  return text.str();
}

std::vector<uint8_t> to_bytes(const std::string& text) { return {text.begin(), text.end()}; }
std::string to_text(const std::vector<uint8_t>& bytes) { return {bytes.begin(), bytes.end()}; }

const std::string kFailed = "failed";

}  // namespace

Peers::Peers(const Connect& connect, PeersOptions options, const std::atomic<bool>& interrupted)
    : options_(std::move(options)),
      interval_(std::clamp(options_.timeout / 20, milliseconds(100), milliseconds(1000))),
      store_(connect()),
      members_(static_cast<size_t>(options_.size)) {
  join(interrupted);
  watcher_ = std::thread([this] { watch(); });
}

Peers::~Peers() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  changed_.notify_all();
  if (watcher_.joinable()) watcher_.join();
}

void Peers::join(const std::atomic<bool>& interrupted) {
  const auto key = [](int rank) { return "member/" + std::to_string(rank); };
  store_->set(key(options_.rank), to_bytes(own_name()));
  const auto deadline = Clock::now() + options_.timeout;
  std::vector<int> missing;
  for (int rank = 0; rank < options_.size; ++rank) missing.push_back(rank);
  while (true) {
    std::erase_if(missing, [&](int rank) {
      if (!store_->check({key(rank)})) return false;
      members_[static_cast<size_t>(rank)].name = to_text(store_->get(key(rank)));
      return true;
    });
    if (missing.empty()) break;
    if (interrupted) throw DistributedError("Interrupted while waiting for the other ranks");
    if (Clock::now() > deadline) {
      std::string ranks;
      for (const int rank : missing) ranks += (ranks.empty() ? "" : ", ") + std::to_string(rank);
      throw DistributedError("Rank " + ranks + " of " + std::to_string(options_.size) +
                             " did not join within " + in_seconds(options_.timeout) + " at " +
                             options_.store_place);
    }
    std::this_thread::sleep_for(std::min(interval_, milliseconds(50)));
  }
  for (auto& member : members_) member.changed = Clock::now();
  answered_ = Clock::now();
}

uint64_t Peers::count(Channel channel) { return ++started_[static_cast<size_t>(channel)]; }

std::string Peers::name(int rank) const {
  return "rank " + std::to_string(rank) + " (" + members_[static_cast<size_t>(rank)].name + ")";
}

void Peers::watch() {
  std::unique_lock lock(mutex_);
  while (!closing_) {
    lock.unlock();
    std::optional<std::string> lost;
    try {
      exchange();
    } catch (const std::exception&) {
      lost = "the connection to " + options_.store_place + " is lost";
    }
    lock.lock();
    if (lost && !closing_) {
      if (!failure_) failure_ = lost;
      return;
    }
    changed_.wait_for(lock, interval_, [this] { return closing_ || (own_failure_ && !told_); });
  }
}

void Peers::exchange() {
  std::ostringstream report;
  std::optional<std::string> own;
  {
    const std::lock_guard lock(mutex_);
    report << rounds_ + 1;
    own = own_failure_;
  }
  for (const auto& started : started_) report << ' ' << started.load();
  report << ' ' << busy_.load();
  const auto key = [](size_t rank) { return "alive/" + std::to_string(rank); };
  store_->set(key(static_cast<size_t>(options_.rank)), to_bytes(report.str()));
  // The first failure counts: others follow from it.
  if (own) store_->compareSet(kFailed, {}, to_bytes(*own));

  std::vector<std::optional<std::string>> reports(members_.size());
  for (size_t rank = 0; rank < members_.size(); ++rank) {
    if (store_->check({key(rank)})) reports[rank] = to_text(store_->get(key(rank)));
  }
  std::optional<std::string> failure;
  if (store_->check({kFailed})) failure = to_text(store_->get(kFailed));

  const auto now = Clock::now();
  const std::lock_guard lock(mutex_);
  for (size_t rank = 0; rank < members_.size(); ++rank) {
    if (!reports[rank]) continue;
    auto& member = members_[rank];
    const auto beats = member.beats;
    std::istringstream text(*reports[rank]);
    text >> member.beats;
    for (auto& started : member.started) text >> started;
    text >> member.busy;
    if (member.busy) busy_seen_ = now;
    if (member.beats != beats) member.changed = now;
  }
  if (failure && !failure_) failure_ = failure;
  if (own) told_ = true;
  answered_ = now;
  ++rounds_;
  find_silent(now);
  changed_.notify_all();
}

void Peers::find_silent(Clock::time_point now) {
  for (int rank = 0; rank < options_.size && !failure_; ++rank) {
    if (now - members_[static_cast<size_t>(rank)].changed <= options_.timeout) continue;
    set_failure(name(rank) + " is lost: it has been silent for " + in_seconds(options_.timeout));
  }
}

void Peers::set_failure(const std::string& reason) {
  if (!failure_) failure_ = reason;
  if (!own_failure_) own_failure_ = reason;
}

void Peers::check() {
  const std::lock_guard lock(mutex_);
  // The watcher itself hangs where a link drops.
  if (!failure_ && !closing_ && Clock::now() - answered_ > options_.timeout) {
    failure_ = options_.store_place + " has not answered for " + in_seconds(options_.timeout);
  }
  if (failure_) throw DistributedError("The job has failed: " + *failure_);
}

void Peers::check(Channel channel, uint64_t number, Clock::time_point since) {
  check();
  {
    const std::lock_guard lock(mutex_);
    if (Clock::now() - std::max(since, busy_seen_) < options_.timeout) return;
    const auto started = [&](const Member& member) {
      return member.started[static_cast<size_t>(channel)];
    };
    const auto last = std::min_element(
        members_.begin(), members_.end(),
        [&](const Member& one, const Member& other) { return started(one) < started(other); });
    const auto waited = in_seconds(options_.timeout);
    const auto rank = name(static_cast<int>(last - members_.begin()));
    const auto silent = std::chrono::duration_cast<milliseconds>(Clock::now() - last->changed);
    if (started(*last) >= number) {
      set_failure("a reduction that all ranks have joined did not finish within " + waited);
    } else if (silent > options_.timeout / 2) {
      set_failure(rank + " is lost: it has been silent for " + in_seconds(silent));
    } else {
      set_failure(rank + " is stuck: the others have waited for it for " + waited);
    }
  }
  changed_.notify_all();
  check();
}

void Peers::explain(const std::string& failure) {
  std::unique_lock lock(mutex_);
  const auto rounds = rounds_;
  const auto failed = Clock::now();
  // A rank that ended reports no more, and whoever saw why has told it by then.
  changed_.wait_for(lock, 4 * interval_ + milliseconds(500),
                    [&] { return failure_ || rounds_ >= rounds + 4; });
  if (!failure_) {
    for (int rank = 0; rank < options_.size && !failure_; ++rank) {
      if (members_[static_cast<size_t>(rank)].changed < failed + interval_) {
        set_failure(name(rank) + " is lost (" + failure + ")");
      }
    }
  }
  if (!failure_) set_failure(failure);
  lock.unlock();
  changed_.notify_all();
  check();
  throw DistributedError(failure);
}

void Peers::fail(const std::string& reason) {
  std::unique_lock lock(mutex_);
  // What follows from another failure is none of its own.
  if (!failure_) set_failure(name(options_.rank) + " failed: " + reason);
  changed_.notify_all();
  // The others read it before this process, which may hold the store, ends.
  changed_.wait_for(lock, 2 * interval_, [this] { return told_; });
  changed_.wait_for(lock, 2 * interval_ + milliseconds(200), [this] { return closing_; });
}

bool Peers::failed() const {
  const std::lock_guard lock(mutex_);
  return failure_.has_value();
}

void Peers::leave(bool holds_store, bool outlives) {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  changed_.notify_all();
  if (watcher_.joinable()) watcher_.join();
  if (failed()) return;
  try {
    auto left = store_->add("left", 1);
    const auto deadline = Clock::now() + milliseconds(5000);
    while (!outlives && (!holds_store || left < options_.size) && Clock::now() < deadline) {
      std::this_thread::sleep_for(milliseconds(10));
      left = store_->add("left", 0);
    }
  } catch (const std::exception&) {
    // The store is closed.
  }
  store_.reset();
}

}  // namespace mactok
