#pragma once

#include <napi.h>
#include "runtime/torch.h"

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>

#include "runtime/engine.h"

namespace mactok {

/** What travels back to the JavaScript thread when a job is done. */
struct Completion {
  virtual ~Completion() = default;
  virtual void complete(Napi::Env env) = 0;
};

/**
 * Everything that belongs to one JavaScript environment (the main thread or a worker): its engines, its way back to its event
 * loop, its classes, and its memory counters. Nothing of the addon is static.
 *
 * The event loop stays alive while promises are pending and only then. On teardown and on `process.exit` queued work is dropped
 * and running work is waited for: LibTorch's statics must not be destroyed under it.
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
  /** From the engine's thread: completes on the JavaScript thread. */
  void post(std::unique_ptr<Completion> completion);

  /** Threads of LibTorch's operators on the engine; LibTorch's own choice until told. */
  std::atomic<int> threads;

  void define(const std::string& name, Napi::Function constructor);
  Napi::Function constructor(const std::string& name) const;

  /** Handles alive and the unique storages that they share; sizes are reported to V8. */
  void count(Napi::Env env, const at::Tensor& tensor);
  void uncount(Napi::Env env, const at::Tensor& tensor);
  int64_t tensors() const { return tensors_; }
  int64_t bytes() const { return bytes_; }

  /** Bytes of the networks that handles hold, each network once. */
  void count_model(const void* model, int64_t bytes);
  void uncount_model(const void* model, int64_t bytes);
  int64_t model_bytes() const { return model_bytes_; }

 private:
  struct StorageUse {
    int64_t handles = 0;
    int64_t bytes = 0;
  };

  /** Drops what is queued, waits for what runs, and takes no more. */
  void close();

  Napi::ThreadSafeFunction loop_;
  std::map<std::string, std::shared_ptr<Engine>> engines_;
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
