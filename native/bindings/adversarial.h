#pragma once

#include <napi.h>

#include <string>

#include "losses/adversarial.h"
#include "train/diff_augment.h"

namespace mactok {

/** hinge, vanilla or non-saturating. */
AdversarialLoss adversarial_loss(const Napi::Value& value, const std::string& name);

/** NativeAugmentation in lib/native/types/tokenizer-training.ts. */
DiffAugmentOptions augment_options(const Napi::Value& value, const std::string& name);

}  // namespace mactok
