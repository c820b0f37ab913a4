#include "files/mapped_file.h"

#include <ATen/EmptyTensor.h>

#include <cstring>
#include <stdexcept>

namespace mactok {

std::shared_ptr<MappedFile> MappedFile::open(const std::string& path) {
  return std::shared_ptr<MappedFile>(new MappedFile(path));
}

at::Tensor MappedFile::tensor(int64_t offset, at::ScalarType dtype, at::IntArrayRef shape) {
  const auto item = static_cast<int64_t>(c10::elementSize(dtype));
  // Throws where the product overflows.
  const auto bytes = static_cast<int64_t>(at::detail::computeStorageNbytesContiguous(shape, item));
  if (offset < 0 || bytes < 0 || offset > size() || bytes > size() - offset) {
    throw std::invalid_argument("Expected a range inside the file's " + std::to_string(size()) +
                                " bytes but received offset " + std::to_string(offset) + " and " +
                                std::to_string(bytes) + " bytes");
  }
  auto* start = static_cast<char*>(file_.map()) + offset;
  const auto options = at::TensorOptions().dtype(dtype);
  if (offset % item != 0) {  // LibTorch needs aligned elements
    auto copy = at::empty(shape, options);
    if (bytes > 0) std::memcpy(copy.data_ptr(), start, bytes);
    return copy;
  }
  return at::from_blob(start, shape, [self = shared_from_this()](void*) {}, options);
}

void MappedFile::check(const std::vector<Copy>& copies, int64_t length, int64_t capacity) const {
  const auto inside = [length](int64_t offset, int64_t size) {
    return length >= 0 && offset >= 0 && offset <= size && length <= size - offset;
  };
  for (const auto& [from, to] : copies) {
    if (inside(from, size()) && inside(to, capacity)) continue;
    throw std::invalid_argument("Expected pieces inside the file's " + std::to_string(size()) +
                                " bytes and the destination's " + std::to_string(capacity) +
                                " but received " + std::to_string(length) + " bytes from " +
                                std::to_string(from) + " to " + std::to_string(to));
  }
}

void MappedFile::gather(const std::vector<Copy>& copies, int64_t length,
                        uint8_t* destination) const {
  for (const auto& [from, to] : copies) file_.read(destination + to, length, from);
}

}  // namespace mactok
