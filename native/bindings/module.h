#pragma once

#include <napi.h>
#include "runtime/torch.h"

#include <functional>
#include <memory>
#include <string>

#include "models/vit.h"
#include "nn/named_tensors.h"

namespace mactok {

/** Live views on named tensors as a JavaScript object. */
Napi::Object to_state(Napi::Env env, const NamedTensors& tensors);

/** A JavaScript object of tensors. */
NamedTensors from_state(const Napi::Value& value, const std::string& name);

/**
 * Checks that `values` has exactly the names and shapes of `targets`, and returns a function that
 * copies them there. Throws std::invalid_argument that names the first difference.
 */
std::function<void()> assignment(const NamedTensors& targets, const NamedTensors& values,
                                 const std::string& what);

/** Counts a network's bytes for `memory()`, once however many handles share it. */
class ModelBytes {
 public:
  ModelBytes(Napi::Env env, const torch::nn::Module& module);
  ~ModelBytes();
  ModelBytes(const ModelBytes&) = delete;
  ModelBytes& operator=(const ModelBytes&) = delete;

 private:
  Napi::Env env_;
  const torch::nn::Module* module_;
  int64_t bytes_ = 0;
};

at::Device module_device(const torch::nn::Module& module);

/** The options of a vision transformer; `patch` and `grid` come from the enclosing object. */
VitOptions vit_options(const Napi::Value& value, const std::string& name, int64_t patch,
                       int64_t grid);

}  // namespace mactok
