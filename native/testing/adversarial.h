#pragma once

#include <napi.h>

namespace mactok {

/** diffAugment, adversarialLosses and lecam: the parts of a discriminator's training. */
void define_adversarial_functions(Napi::Env env, Napi::Object exports);

}  // namespace mactok
