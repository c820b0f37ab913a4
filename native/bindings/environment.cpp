#include "bindings/environment.h"

#include <ATen/Parallel.h>

#include <algorithm>
#ifdef _OPENMP
#include <omp.h>
#endif

namespace mactok {

void Environment::attach(Napi::Env env) {
  env.SetInstanceData(new Environment(env));
  // process.exit() runs no cleanup hooks of the main thread.
  const auto process = env.Global().Get("process").As<Napi::Object>();
  const auto leave = [](const Napi::CallbackInfo& info) { of(info.Env()).close(); };
  process.Get("once").As<Napi::Function>().Call(
      process, {Napi::String::New(env, "exit"), Napi::Function::New(env, leave)});
}

Environment& Environment::of(Napi::Env env) { return *env.GetInstanceData<Environment>(); }

Environment::Environment(Napi::Env env)
    // First, because LibTorch initialises a thread's count on the first query.
    : threads(at::get_num_threads()),
      loop_(Napi::ThreadSafeFunction::New(env, Napi::Function(), "mactok", 0, 1)) {
  loop_.Unref(env);
#ifdef _OPENMP
  // A team of this thread beside the engine's would make more threads than cores. libgomp would
  // then put both to sleep after every loop, and a training step would take 15 % longer.
  omp_set_num_threads(1);
#endif
  // Hooks run last in, first out: this one runs before the thread-safe function's own, so that no
  // job posts to a closed loop.
  napi_add_env_cleanup_hook(
      env, [](void* self) { static_cast<Environment*>(self)->close(); }, this);
}

Environment::~Environment() = default;

void Environment::close() {
  closed_ = true;
  for (const auto& interrupt : interrupts_) interrupt();
  for (const auto& waiting : waiting_engines_) {
    if (const auto engine = waiting.lock()) engine->cancel(this);
  }
  for (auto& [name, engine] : engines_) engine->cancel(this);
  engines_.clear();
}

void Environment::submit(Napi::Env env, at::Device device, Engine::Job job) {
  if (closed_) return;
  auto& engine = engines_[device.str()];
  if (!engine) engine = Engine::acquire(device);
  if (pending_++ == 0) loop_.Ref(env);
  engine->submit(this, [job = std::move(job), threads = threads.load()] {
    const int share = Engine::share(threads);
    if (at::get_num_threads() != share) at::set_num_threads(share);
    job();
  });
}

void Environment::submit(Napi::Env env, const std::shared_ptr<Engine>& engine, Engine::Job job) {
  if (closed_) return;
  const auto is_known = [&engine](const auto& known) { return known.lock() == engine; };
  std::erase_if(waiting_engines_, [](const auto& known) { return known.expired(); });
  if (std::none_of(waiting_engines_.begin(), waiting_engines_.end(), is_known)) {
    waiting_engines_.push_back(engine);
  }
  if (pending_++ == 0) loop_.Ref(env);
  engine->submit(this, std::move(job));
}

void Environment::post(std::unique_ptr<Completion> completion) {
  const auto deliver = [this](Napi::Env env, Napi::Function, Completion* data) {
    const std::unique_ptr<Completion> owned(data);
    // The environment is being torn down.
    if (env == nullptr) return;
    if (--pending_ == 0) loop_.Unref(env);
    try {
      owned->complete(env);
    } catch (const Napi::Error&) {
      // A worker is being terminated, and nobody awaits this promise any more.
    }
  };
  Completion* data = completion.release();
  if (loop_.NonBlockingCall(data, deliver) != napi_ok) delete data;
}

void Environment::define(const std::string& name, Napi::Function constructor) {
  constructors_[name] = Napi::Persistent(constructor);
}

Napi::Function Environment::constructor(const std::string& name) const {
  return constructors_.at(name).Value();
}

void Environment::count(Napi::Env env, const at::Tensor& tensor) {
  auto& use = storages_[tensor.storage().unsafeGetStorageImpl()];
  ++tensors_;
  if (use.handles++ > 0) return;
  use.bytes = static_cast<int64_t>(tensor.storage().nbytes());
  bytes_ += use.bytes;
  Napi::MemoryManagement::AdjustExternalMemory(env, use.bytes);
}

void Environment::uncount(Napi::Env env, const at::Tensor& tensor) {
  const auto found = storages_.find(tensor.storage().unsafeGetStorageImpl());
  --tensors_;
  if (found == storages_.end() || --found->second.handles > 0) return;
  bytes_ -= found->second.bytes;
  Napi::MemoryManagement::AdjustExternalMemory(env, -found->second.bytes);
  storages_.erase(found);
}

void Environment::count_model(const void* model, int64_t bytes) {
  if (models_[model]++ == 0) model_bytes_ += bytes;
}

void Environment::uncount_model(const void* model, int64_t bytes) {
  if (--models_[model] > 0) return;
  models_.erase(model);
  model_bytes_ -= bytes;
}

}  // namespace mactok
