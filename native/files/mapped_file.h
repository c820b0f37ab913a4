#pragma once

#include "runtime/torch.h"

#include <memory>
#include <string>
#include <vector>

namespace mactok {

/** A file mapped read-only. Tensors are views on it, and the mapping lives as long as any of them. */
class MappedFile : public std::enable_shared_from_this<MappedFile> {
 public:
  /** Throws std::invalid_argument with the path when the file cannot be mapped. */
  static std::shared_ptr<MappedFile> open(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  int64_t size() const { return size_; }

  /** A view of the bytes from `offset`; throws std::invalid_argument when it would leave the file or is not aligned to the dtype. */
  at::Tensor tensor(int64_t offset, at::ScalarType dtype, at::IntArrayRef shape);

  struct Copy {
    int64_t from, to;  // in bytes: where a piece lies in the file, and where it goes
  };

  /** Throws std::invalid_argument unless every piece of `length` bytes lies inside the file and in a destination of `capacity`. */
  void check(const std::vector<Copy>& copies, int64_t length, int64_t capacity) const;

  /** Copies pieces of `length` bytes each, which `check` has passed; pages that are not in memory are waited for. */
  void gather(const std::vector<Copy>& copies, int64_t length, uint8_t* destination) const;

 private:
  MappedFile(void* data, int64_t size) : data_(data), size_(size) {}

  void* data_;
  int64_t size_;
};

}  // namespace mactok
