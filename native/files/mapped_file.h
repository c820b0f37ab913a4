#pragma once

#include "runtime/torch.h"

#include <memory>
#include <string>
#include <vector>

namespace mactok {

/** A file mapped read-only. The mapping lives as long as any tensor on it. */
class MappedFile : public std::enable_shared_from_this<MappedFile> {
 public:
  /** Throws std::invalid_argument with the path when the file cannot be mapped. */
  static std::shared_ptr<MappedFile> open(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  int64_t size() const { return size_; }

  /**
   * The bytes from `offset` as a tensor: a view, or a copy where they are not aligned to the dtype.
   * Throws std::invalid_argument if they reach beyond the file.
   */
  at::Tensor tensor(int64_t offset, at::ScalarType dtype, at::IntArrayRef shape);

  struct Copy {
    /** Offsets of a piece in the file and in the destination, in bytes. */
    int64_t from, to;
  };

  /**
   * Throws std::invalid_argument unless every piece of `length` bytes lies inside the file and in a
   * destination of `capacity`.
   */
  void check(const std::vector<Copy>& copies, int64_t length, int64_t capacity) const;

  /**
   * Copies pieces of `length` bytes each, which must have passed `check`; waits for pages that are
   * not in memory.
   */
  void gather(const std::vector<Copy>& copies, int64_t length, uint8_t* destination) const;

 private:
  MappedFile(void* data, int64_t size) : data_(data), size_(size) {}

  void* data_;
  int64_t size_;
};

}  // namespace mactok
