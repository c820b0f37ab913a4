#pragma once

#include "runtime/torch.h"

#include <cstdint>
#include <string>
#include <vector>

namespace mactok {

/** Where the bytes of one record lie, unchanged, in the archive's file. */
struct TorchRecord {
  std::string name;
  int64_t offset, size;
};

/** What `torch.save` writes since PyTorch 1.6: a zip of stored records. Nothing in it is executed or interpreted. */
struct TorchArchive {
  std::vector<TorchRecord> records;
  std::string pickle;  ///< the bytes of `data.pkl`, their checksum verified
};

/**
 * Reads the directory of an archive and its pickle. Throws std::invalid_argument when it is broken, when a record is compressed (which
 * PyTorch never does) or reaches beyond the file, or when the pickle is longer than max_pickle.
 */
TorchArchive read_torch_archive(const std::string& path, int64_t max_pickle);

}  // namespace mactok
