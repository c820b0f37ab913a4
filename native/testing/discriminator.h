#pragma once

#include <napi.h>

namespace mactok {

/** Discriminators' `logits`, `generatorPass` and `discriminatorPass`. */
void define_discriminator_methods(Napi::Env env);

}  // namespace mactok
