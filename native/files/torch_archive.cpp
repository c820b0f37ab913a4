#include "files/torch_archive.h"

#include <caffe2/serialize/file_adapter.h>
#include <caffe2/serialize/inline_container.h>

#include <array>
#include <memory>
#include <stdexcept>
#include <utility>

namespace mactok {
namespace {

/** Offset of the compression method in a record's local header. */
constexpr size_t kMethodOffset = 8;
constexpr const char* kPickle = "data.pkl";

}  // namespace

TorchArchive read_torch_archive(const std::string& path, int64_t max_pickle) {
  const auto file = std::make_shared<caffe2::serialize::FileAdapter>(path);
  caffe2::serialize::PyTorchStreamReader reader(file);
  const auto file_size = file->size();
  TorchArchive archive;
  for (const auto& name : reader.getAllRecords()) {
    std::array<uint8_t, 2> method{};
    file->read(reader.getRecordHeaderOffset(name) + kMethodOffset, method.data(), method.size());
    const size_t offset = reader.getRecordOffset(name), size = reader.getRecordSize(name);
    if (method[0] != 0 || method[1] != 0) {
      throw std::invalid_argument("its record " + name + " is compressed");
    }
    if (offset > file_size || size > file_size - offset) {
      throw std::invalid_argument("its record " + name + " reaches beyond the end of the file");
    }
    archive.records.push_back({name, static_cast<int64_t>(offset), static_cast<int64_t>(size)});
  }
  if (!reader.hasRecord(kPickle)) throw std::invalid_argument("it has no data.pkl");
  if (reader.getRecordSize(kPickle) > static_cast<size_t>(max_pickle)) {
    throw std::invalid_argument("its data.pkl is longer than " + std::to_string(max_pickle) +
                                " bytes");
  }
  const auto [data, size] = reader.getRecord(kPickle);
  archive.pickle.assign(static_cast<const char*>(data.get()), size);
  return archive;
}

}  // namespace mactok
