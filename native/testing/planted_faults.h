#pragma once

#include "runtime/torch.h"

#include <string>

namespace mactok {

/**
 * A mistake of a program that uses a device, by its name in test/device/stand-in.test.ts; throws
 * std::invalid_argument for an unknown one.
 */
using PlantedFault = void (*)(at::Device device);
PlantedFault planted_fault(const std::string& name);

}  // namespace mactok
