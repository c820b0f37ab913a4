#pragma once

#include "runtime/torch.h"

#include <memory>
#include <string>
#include <vector>

#include "os/file.h"

namespace mactok {

/**
 * An open file: tensors are views of it, mapped read-only when the first is made; pieces are read.
 * Cutting a mapped file kills whoever reads the mapping; reading fails with an error instead.
 */
class MappedFile : public std::enable_shared_from_this<MappedFile> {
 public:
  /** Throws std::invalid_argument with the path when the file cannot be opened. */
  static std::shared_ptr<MappedFile> open(const std::string& path);
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  int64_t size() const { return file_.size(); }

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
   * Reads pieces of `length` bytes each, which must have passed `check`. Throws std::runtime_error
   * with the path when the file is shorter by now, or cannot be read.
   */
  void gather(const std::vector<Copy>& copies, int64_t length, uint8_t* destination) const;

 private:
  explicit MappedFile(const std::string& path) : file_(path) {}

  File file_;
};

}  // namespace mactok
