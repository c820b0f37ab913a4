#include "os/mapping.h"

#if defined(_WIN32)
#include "os/wide.h"
#else
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#endif

#include <stdexcept>

namespace mactok {
namespace {

[[noreturn]] void fail(const std::string& path, const std::string& reason) {
  throw std::invalid_argument("Cannot map " + path + ": " + reason);
}

constexpr const char* kIrregular = "not a regular file with content";

}  // namespace

#if defined(_WIN32)

Mapping map_file(const std::string& path) {
  const HANDLE file = CreateFileW(to_wide(path).c_str(), GENERIC_READ, FILE_SHARE_READ, nullptr,
                                  OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, nullptr);
  if (file == INVALID_HANDLE_VALUE) fail(path, last_error());
  LARGE_INTEGER size{};
  const bool regular =
      GetFileType(file) == FILE_TYPE_DISK && GetFileSizeEx(file, &size) && size.QuadPart > 0;
  const HANDLE mapping =
      regular ? CreateFileMappingW(file, nullptr, PAGE_WRITECOPY, 0, 0, nullptr) : nullptr;
  void* data = mapping ? MapViewOfFile(mapping, FILE_MAP_COPY, 0, 0, 0) : nullptr;
  const std::string error = data ? "" : last_error();
  // The view keeps both alive.
  if (mapping) CloseHandle(mapping);
  CloseHandle(file);
  if (!regular) fail(path, kIrregular);
  if (!data) fail(path, error);
  return {data, size.QuadPart};
}

void unmap_file(const Mapping& mapping) noexcept { UnmapViewOfFile(mapping.data); }

#else

Mapping map_file(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) fail(path, std::strerror(errno));
  struct stat status{};
  const bool regular = ::fstat(file, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0;
  // Private and writable: tensors on it may be mutable for LibTorch. No swap is reserved for the
  // writes that never come, so that files larger than memory can be mapped.
  void* data = regular ? ::mmap(nullptr, status.st_size, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_NORESERVE, file, 0)
                       : MAP_FAILED;
  const int error = errno;
  ::close(file);
  if (!regular) fail(path, kIrregular);
  if (data == MAP_FAILED) fail(path, std::strerror(error));
  return {data, status.st_size};
}

void unmap_file(const Mapping& mapping) noexcept { ::munmap(mapping.data, mapping.size); }

#endif

}  // namespace mactok
