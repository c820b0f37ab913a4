#include "testing/runtime.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>
#include <vector>

#include "bindings/convert.h"
#include "bindings/promise.h"
#include "runtime/autocast.h"
#include "runtime/cpu_memory.h"
#include "runtime/device.h"

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace mactok {
namespace {

size_t page = 0;
size_t discarded = 0;

/** As a system with pages of that size does it. */
int advise_on_pages(void* begin, size_t size, int advice) noexcept {
#ifdef __linux__
  if (reinterpret_cast<uintptr_t>(begin) % page != 0) return -1;
  if (advice != MADV_DONTNEED) return 0;
  const size_t whole = (size + page - 1) / page * page;
  discarded += whole;
  return madvise(begin, whole, advice);
#else
  static_cast<void>(begin), static_cast<void>(size), static_cast<void>(advice);
  return -1;
#endif
}

struct Survey {
  size_t damaged, discarded;
};

/** Frees every other block of a cache that assumes pages of one size, on a system with another. */
Survey survey_cache(size_t assumed, size_t actual) {
  page = actual;
  discarded = 0;
  const auto cache = make_cpu_cache({.size = assumed, .advise = advise_on_pages});
  std::vector<c10::DataPtr> blocks;
  const auto size_of = [](size_t i) { return (size_t{40} << 10) + i * 7919; };
  const auto value_of = [](size_t i) { return static_cast<uint8_t>(1 + i); };
  for (size_t i = 0; i < 64; ++i) {
    blocks.push_back(cache.allocator->allocate(size_of(i)));
    std::memset(blocks[i].get(), value_of(i), size_of(i));
  }
  for (size_t i = 0; i < 64; i += 2) blocks[i].clear();
  cache.release_free();
  Survey survey{.damaged = 0, .discarded = discarded};
  for (size_t i = 1; i < 64; i += 2) {
    const auto* bytes = static_cast<const uint8_t*>(blocks[i].get());
    const auto intact = std::count(bytes, bytes + size_of(i), value_of(i));
    survey.damaged += size_of(i) - static_cast<size_t>(intact);
  }
  // A damaged block cannot be freed: its header may be gone.
  for (auto& block : blocks) {
    if (survey.damaged > 0) static_cast<void>(block.release_context());
  }
  return survey;
}

Napi::Value cpu_cache(const Napi::CallbackInfo& info) {
  const auto assumed = convert::count(info[0], "assumed", 4096);
  const auto actual = convert::count(info[1], "actual", 4096);
  const auto survey = survey_cache(static_cast<size_t>(assumed), static_cast<size_t>(actual));
  auto result = Napi::Object::New(info.Env());
  result.Set("damaged", static_cast<double>(survey.damaged));
  result.Set("discarded", static_cast<double>(survey.discarded));
  return result;
}

/** How often a scope of one of two threads found the other's precision. */
Napi::Value mixed_precisions(const Napi::CallbackInfo& info) {
  std::atomic<int> mixed{0};
  const auto work = [&mixed](Precision precision) {
    for (int i = 0; i < 500; ++i) {
      // Two that need the same, as a part of a part of a step has around it.
      const Autocast outermost(at::kCUDA, Precision::fp32);
      const Autocast outer(at::kCUDA, Precision::fp32);
      const Autocast autocast(at::kCUDA, precision);
      for (int look = 0; look < 20; ++look) {
        if (Autocast::current(at::kCUDA) != precision) ++mixed;
        std::this_thread::yield();
      }
    }
  };
  std::thread other([&] { work(Precision::tf32); });
  work(Precision::fp32);
  other.join();
  return Napi::Number::New(info.Env(), mixed);
}

void release_when_idle(const Napi::CallbackInfo& info) {
  Engine::release_when_idle(std::chrono::milliseconds(convert::count(info[0], "milliseconds", 1)));
}

Napi::Value engine_threads(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto device = parse_device(convert::string(info[0], "device"));
    return run(
        info.Env(), device, [] { return at::get_num_threads(); },
        [](Napi::Env env, int threads) -> Napi::Value { return Napi::Number::New(env, threads); });
  });
}

}  // namespace

void define_runtime_functions(Napi::Env env, Napi::Object exports) {
  exports.Set("cpuCache", Napi::Function::New(env, cpu_cache, "cpuCache"));
  exports.Set("mixedPrecisions", Napi::Function::New(env, mixed_precisions, "mixedPrecisions"));
  exports.Set("releaseWhenIdle", Napi::Function::New(env, release_when_idle, "releaseWhenIdle"));
  exports.Set("engineThreads", Napi::Function::New(env, engine_threads, "engineThreads"));
}

}  // namespace mactok
