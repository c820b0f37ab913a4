#pragma once

#include <cstdint>
#include <string>

namespace mactok {

/** An open file, read-only. Errors are std::runtime_error with the path. */
class File {
 public:
  /** Throws std::invalid_argument with the path when it is no regular file with content. */
  explicit File(std::string path);
  ~File();
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  int64_t size() const { return size_; }

  /** Reads bytes from `offset`. Throws when the file is shorter by now, or cannot be read. */
  void read(void* to, int64_t bytes, int64_t offset) const;

  /**
   * The whole file in memory, mapped at the first call until this is destroyed. Writing to it is
   * allowed, as tensors on it may be mutable for LibTorch, and never reaches the file.
   */
  void* map();

 private:
  /** Reads some bytes; returns how many, 0 at the file's end. */
  int64_t read_some(char* to, int64_t bytes, int64_t offset) const;

  std::string path_;
#if defined(_WIN32)
  void* handle_;
#else
  int handle_;
#endif
  int64_t size_ = 0;
  void* data_ = nullptr;
};

}  // namespace mactok
