#pragma once

#include <napi.h>

#include <memory>

#include "flow/sampler.h"
#include "runtime/autocast.h"
#include "runtime/run_ahead.h"

namespace mactok {

/** NativeSampler in lib/native/types/generator.ts: integrates latents from noise to data. */
class SamplerHandle : public Napi::ObjectWrap<SamplerHandle> {
 public:
  static constexpr const char* kClass = "Sampler";

  /** Only the engine's thread uses the sampler. */
  struct Running {
    std::shared_ptr<Sampler> sampler;
    std::shared_ptr<RunAhead> run_ahead;
    Precision precision;
    at::Device device;
  };

  static void define(Napi::Env env, Napi::Object exports);
  explicit SamplerHandle(const Napi::CallbackInfo& info);

 private:
  Napi::Value step(const Napi::CallbackInfo& info);
  Napi::Value latents(const Napi::CallbackInfo& info);
  Napi::Value preview(const Napi::CallbackInfo& info);
  void dispose(const Napi::CallbackInfo& info);

  const Running& alive(Napi::Env env) const;

  std::unique_ptr<Running> running_;
};

}  // namespace mactok
