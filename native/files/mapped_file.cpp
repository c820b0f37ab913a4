#include "files/mapped_file.h"

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
    throw std::invalid_argument("Cannot open " + path + ": " + reason);
  };
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) fail(std::strerror(errno));
  struct stat status{};
  if (::fstat(file, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size == 0) {
    ::close(file);
    fail("not a regular file with content");
  }
  return std::shared_ptr<MappedFile>(new MappedFile(path, file, status.st_size));
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(data_, size_);
  ::close(file_);
}

void MappedFile::map() {
  if (data_ != nullptr) return;
  // A private writable mapping: tensors on it may be mutable for LibTorch, while the file never
  // changes. No swap is reserved for the writes that never come, so that files larger than memory
  // can be mapped.
  void* data =
      ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, file_, 0);
  if (data == MAP_FAILED) {
    throw std::invalid_argument("Cannot map " + path_ + ": " + std::strerror(errno));
  }
  data_ = data;
}

at::Tensor MappedFile::tensor(int64_t offset, at::ScalarType dtype, at::IntArrayRef shape) {
  const auto item = static_cast<int64_t>(c10::elementSize(dtype));
  const int64_t bytes = c10::multiply_integers(shape) * item;
  if (offset < 0 || bytes < 0 || offset > size_ || bytes > size_ - offset) {
    throw std::invalid_argument("Expected a range inside the file's " + std::to_string(size_) +
                                " bytes but received offset " + std::to_string(offset) + " and " +
                                std::to_string(bytes) + " bytes");
  }
  map();
  auto* start = static_cast<char*>(data_) + offset;
  const auto options = at::TensorOptions().dtype(dtype);
  if (offset % item != 0) {  // LibTorch needs aligned elements
    auto copy = at::empty(shape, options);
    std::memcpy(copy.data_ptr(), start, bytes);
    return copy;
  }
  return at::from_blob(start, shape, [self = shared_from_this()](void*) {}, options);
}

void MappedFile::check(const std::vector<Copy>& copies, int64_t length, int64_t capacity) const {
  const auto inside = [length](int64_t offset, int64_t size) {
    return length >= 0 && offset >= 0 && offset <= size && length <= size - offset;
  };
  for (const auto& [from, to] : copies) {
    if (inside(from, size_) && inside(to, capacity)) continue;
    throw std::invalid_argument("Expected pieces inside the file's " + std::to_string(size_) +
                                " bytes and the destination's " + std::to_string(capacity) +
                                " but received " + std::to_string(length) + " bytes from " +
                                std::to_string(from) + " to " + std::to_string(to));
  }
}

void MappedFile::gather(const std::vector<Copy>& copies, int64_t length,
                        uint8_t* destination) const {
  for (const auto& [from, to] : copies) {
    for (int64_t done = 0; done < length;) {
      const ssize_t got = ::pread(file_, destination + to + done, length - done, from + done);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) throw std::runtime_error("Cannot read " + path_ + ": " + std::strerror(errno));
      if (got == 0) {
        throw std::runtime_error(path_ + " ends at byte " + std::to_string(from + done) +
                                 " instead of " + std::to_string(size_) +
                                 ": it was cut while it was open");
      }
      done += got;
    }
  }
}

}  // namespace mactok
