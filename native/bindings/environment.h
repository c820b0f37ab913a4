#pragma once

#include <napi.h>
#include "runtime/torch.h"

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "runtime/engine.h"

namespace mactok {

/** The result of a job on its way back to the JavaScript thread. */
struct Completion {
  virtual ~Completion() = default;
  virtual void complete(Napi::Env env) = 0;
};

/**
 * What belongs to one JavaScript environment (the main thread or a worker): its engines, the way
 * back to its event loop, its classes, and its memory counters. Shared by all environments of the
 * process are only the engines' registry, the CPU allocator, the profiler, the TF32 switch and
 * libmactok_cuda.
 *
 * Only pending promises keep the event loop alive. On teardown and on `process.exit` queued work is
 * dropped and running work is waited for, because LibTorch's statics must not be destroyed under
 * it.
 */
class Environment {
 public:
  static Environment& of(Napi::Env env);
  static void attach(Napi::Env env);

  explicit Environment(Napi::Env env);
  ~Environment();
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

  /** Runs a job on the device's engine; the job posts its completion exactly once. */
  void submit(Napi::Env env, at::Device device, Engine::Job job);
  /** The same on an engine that does not compute and may wait for other processes. */
  void submit(Napi::Env env, const std::shared_ptr<Engine>& engine, Engine::Job job);
  /** Calls `interrupt` before running work is waited for: work that waits for others then ends. */
  void on_close(std::function<void()> interrupt) { interrupts_.push_back(std::move(interrupt)); }
  /** From the engine's thread: completes on the JavaScript thread. */
  void post(std::unique_ptr<Completion> completion);

  /** Threads of LibTorch's operators on all engines together; by default LibTorch's choice. */
  std::atomic<int> threads;

  void define(const std::string& name, Napi::Function constructor);
  Napi::Function constructor(const std::string& name) const;

  /**
   * Counts live handles and the bytes of the storages that they share, which are reported to V8.
   */
  void count(Napi::Env env, const at::Tensor& tensor);
  void uncount(Napi::Env env, const at::Tensor& tensor);
  int64_t tensors() const { return tensors_; }
  int64_t bytes() const { return bytes_; }

  /** Counts the bytes of networks that handles hold, each network once. */
  void count_model(const void* model, int64_t bytes);
  void uncount_model(const void* model, int64_t bytes);
  int64_t model_bytes() const { return model_bytes_; }

 private:
  struct StorageUse {
    int64_t handles = 0;
    int64_t bytes = 0;
  };

  /** Drops queued work, waits for running work and accepts no more. */
  void close();

  Napi::ThreadSafeFunction loop_;
  std::map<std::string, std::shared_ptr<Engine>> engines_;
  std::vector<std::weak_ptr<Engine>> waiting_engines_;
  std::vector<std::function<void()>> interrupts_;
  std::map<std::string, Napi::FunctionReference> constructors_;
  std::unordered_map<const c10::StorageImpl*, StorageUse> storages_;
  std::map<const void*, int64_t> models_;
  int64_t model_bytes_ = 0;
  int64_t tensors_ = 0;
  int64_t bytes_ = 0;
  int64_t pending_ = 0;
  bool closed_ = false;
};

}  // namespace mactok
