#include "os/file.h"

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

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace mactok {
namespace {

[[noreturn]] void fail_to_open(const std::string& path, const std::string& reason) {
  throw std::invalid_argument("Cannot open " + path + ": " + reason);
}

constexpr const char* kIrregular = "not a regular file with content";

}  // namespace

void File::read(void* to, int64_t bytes, int64_t offset) const {
  for (int64_t done = 0; done < bytes;) {
    const int64_t got = read_some(static_cast<char*>(to) + done, bytes - done, offset + done);
    if (got == 0) {
      throw std::runtime_error(path_ + " ends at byte " + std::to_string(offset + done) +
                               " instead of " + std::to_string(size_) +
                               ": it was cut while it was open");
    }
    done += got;
  }
}

#if defined(_WIN32)

File::File(std::string path) : path_(std::move(path)) {
  handle_ = CreateFileW(to_wide(path_).c_str(), GENERIC_READ, FILE_SHARE_READ, nullptr,
                        OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, nullptr);
  if (handle_ == INVALID_HANDLE_VALUE) fail_to_open(path_, last_error());
  LARGE_INTEGER size{};
  const bool regular =
      GetFileType(handle_) == FILE_TYPE_DISK && GetFileSizeEx(handle_, &size) && size.QuadPart > 0;
  size_ = size.QuadPart;
  if (regular) return;
  CloseHandle(handle_);
  fail_to_open(path_, kIrregular);
}

File::~File() {
  if (data_ != nullptr) UnmapViewOfFile(data_);
  CloseHandle(handle_);
}

int64_t File::read_some(char* to, int64_t bytes, int64_t offset) const {
  OVERLAPPED position{};
  position.Offset = static_cast<DWORD>(offset);
  position.OffsetHigh = static_cast<DWORD>(offset >> 32);
  DWORD got = 0;
  const auto wanted = static_cast<DWORD>(std::min<int64_t>(bytes, int64_t{1} << 30));
  if (!ReadFile(handle_, to, wanted, &got, &position) && GetLastError() != ERROR_HANDLE_EOF) {
    throw std::runtime_error("Cannot read " + path_ + ": " + last_error());
  }
  return got;
}

void* File::map() {
  if (data_ != nullptr) return data_;
  const HANDLE mapping = CreateFileMappingW(handle_, nullptr, PAGE_WRITECOPY, 0, 0, nullptr);
  data_ = mapping ? MapViewOfFile(mapping, FILE_MAP_COPY, 0, 0, 0) : nullptr;
  const std::string error = data_ ? "" : last_error();
  // The view keeps it alive.
  if (mapping) CloseHandle(mapping);
  if (data_ == nullptr) throw std::runtime_error("Cannot map " + path_ + ": " + error);
  return data_;
}

#else

File::File(std::string path) : path_(std::move(path)) {
  // Opening a named pipe would wait for its writer.
  handle_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (handle_ < 0) fail_to_open(path_, std::strerror(errno));
  struct stat status{};
  const bool regular =
      ::fstat(handle_, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0;
  size_ = status.st_size;
  if (regular) return;
  ::close(handle_);
  fail_to_open(path_, kIrregular);
}

File::~File() {
  if (data_ != nullptr) ::munmap(data_, size_);
  ::close(handle_);
}

int64_t File::read_some(char* to, int64_t bytes, int64_t offset) const {
  for (;;) {
    const auto got = ::pread(handle_, to, bytes, offset);
    if (got >= 0) return got;
    if (errno != EINTR)
      throw std::runtime_error("Cannot read " + path_ + ": " + std::strerror(errno));
  }
}

void* File::map() {
  if (data_ != nullptr) return data_;
  // No swap is reserved for the writes that never come, so that files larger than memory can be
  // mapped.
  void* data =
      ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, handle_, 0);
  if (data == MAP_FAILED) {
    throw std::runtime_error("Cannot map " + path_ + ": " + std::strerror(errno));
  }
  data_ = data;
  return data_;
}

#endif

}  // namespace mactok
