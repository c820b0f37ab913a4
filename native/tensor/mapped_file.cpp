#include "tensor/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace mactok {

std::shared_ptr<MappedFile> MappedFile::open(const std::string& path) {
  const auto fail = [&path](const std::string& reason) {
    throw std::invalid_argument("Cannot map " + path + ": " + reason);
  };
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) fail(std::strerror(errno));
  struct stat status{};
  const bool regular = ::fstat(file, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0;
  // A private writable mapping: LibTorch may be handed the pages as mutable, and the file never changes by it.
  void* data = regular
                   ? ::mmap(nullptr, status.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0)
                   : MAP_FAILED;
  const int error = errno;
  ::close(file);
  if (!regular) fail("not a regular file with content");
  if (data == MAP_FAILED) fail(std::strerror(error));
  return std::shared_ptr<MappedFile>(new MappedFile(data, status.st_size));
}

MappedFile::~MappedFile() { ::munmap(data_, size_); }

at::Tensor MappedFile::tensor(int64_t offset, at::ScalarType dtype, at::IntArrayRef shape) {
  const auto item = static_cast<int64_t>(c10::elementSize(dtype));
  const int64_t bytes = c10::multiply_integers(shape) * item;
  if (offset < 0 || bytes < 0 || offset > size_ || bytes > size_ - offset) {
    throw std::invalid_argument("Expected a range inside the file's " + std::to_string(size_) +
                                " bytes but received offset " + std::to_string(offset) + " and " +
                                std::to_string(bytes) + " bytes");
  }
  auto* start = static_cast<char*>(data_) + offset;
  const auto options = at::TensorOptions().dtype(dtype);
  if (offset % item != 0) {  // LibTorch needs aligned elements: copy
    auto copy = at::empty(shape, options);
    std::memcpy(copy.data_ptr(), start, bytes);
    return copy;
  }
  return at::from_blob(start, shape, [self = shared_from_this()](void*) {}, options);
}

}  // namespace mactok
