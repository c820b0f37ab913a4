#pragma once

#include <napi.h>

namespace mactok {

/**
 * deviceCounts, deviceFaults, failAllocation, limitMemory, failOperation, recoverDevice and plantFault of the
 * stand-in device. They throw where it is not loaded.
 */
void define_device_functions(Napi::Env env, Napi::Object exports);

}  // namespace mactok
