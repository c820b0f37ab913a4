#pragma once

#include <napi.h>

#include <string>

#include "losses/adversarial.h"
#include "train/diff_augment.h"

namespace mactok {

/** hinge, vanilla or non-saturating. */
AdversarialLoss adversarial_loss(const Napi::Value& value, const std::string& name);

/** NativeAugmentation in lib/native/addon.ts. */
DiffAugmentOptions augment_options(const Napi::Value& value, const std::string& name);

/**
 * diffAugment, adversarialLosses and lecam in lib/native/addon.ts: what a discriminator's training
 * is made of, by itself.
 */
void define_adversarial_functions(Napi::Env env, Napi::Object exports);

}  // namespace mactok
