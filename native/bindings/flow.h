#pragma once

#include <napi.h>

#include <string>

#include "flow/sampler.h"
#include "losses/flow.h"

namespace mactok {

/** linear, gvp or vp. */
PathKind path_kind(const Napi::Value& value, const std::string& name);

/**
 * NativeFlowConfig, NativeFlowLoss, NativeDiffusion and NativeGuidance in
 * lib/native/types/generator.ts.
 */
FlowOptions flow_options(const Napi::Value& value, const std::string& name);
FlowLossOptions flow_loss_options(const Napi::Value& value, const std::string& name);
DiffusionOptions diffusion_options(const Napi::Value& value, const std::string& name);
Guidance guidance_options(const Napi::Value& value, const std::string& name);

/** Labels int64 [batch]. Throws a TypeError that names the parameter otherwise. */
at::Tensor class_labels(const Napi::Value& value, const std::string& name, int64_t batch);

}  // namespace mactok
