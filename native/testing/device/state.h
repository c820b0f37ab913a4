#pragma once

#include <mutex>

namespace mactok::stand_in {

inline constexpr int kDevices = 2;

/**
 * One lock for all that the devices remember: streams, blocks, counts. Operations compute outside
 * of it.
 */
inline std::recursive_mutex& state_mutex() {
  // Never destroyed: other libraries free device memory when the process ends.
  static auto& mutex = *new std::recursive_mutex;
  return mutex;
}

using StateLock = std::lock_guard<std::recursive_mutex>;

}  // namespace mactok::stand_in
