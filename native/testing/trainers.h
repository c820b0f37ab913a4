#pragma once

#include <napi.h>

namespace mactok {

/** Trainers' `gradients`. */
void define_trainer_methods(Napi::Env env);

}  // namespace mactok
