#pragma once

#include <napi.h>

namespace mactok {

/** createMixture, flowLosses, flowField, and generators' `predict`. */
void define_flow_functions(Napi::Env env, Napi::Object exports);

}  // namespace mactok
