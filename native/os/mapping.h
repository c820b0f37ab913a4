#pragma once

#include <cstdint>
#include <string>

namespace mactok {

/** A whole file in memory. Writing to it is allowed and never reaches the file. */
struct Mapping {
  void* data;
  int64_t size;
};

/** Throws std::invalid_argument with the path when it is no regular file with content. */
Mapping map_file(const std::string& path);
void unmap_file(const Mapping& mapping) noexcept;

}  // namespace mactok
