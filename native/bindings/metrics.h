#pragma once

#include "bindings/model_handle.h"
#include "metrics/moments.h"

namespace mactok {

/** NativeMoments in lib/native/types/evaluation.ts. */
class MomentsHandle : public ModelHandle<MomentsHandle, Moments> {
 public:
  static constexpr const char* kClass = "Moments";
  static constexpr const char* kWhat = "moments";

  static void define(Napi::Env env, Napi::Object exports);
  using ModelHandle::ModelHandle;

 private:
  Napi::Value add(const Napi::CallbackInfo& info);
  Napi::Value merge(const Napi::CallbackInfo& info);
  Napi::Value covariance(const Napi::CallbackInfo& info);
};

/**
 * structuralSimilarity, frechetDistance, neighbourRadii, inManifold, kernelDistance,
 * mutualInformation and principalComponents in lib/native/types/evaluation.ts.
 */
void define_metric_functions(Napi::Env env, Napi::Object exports);

}  // namespace mactok
