#pragma once

#include "runtime/torch.h"

#include <cstdint>
#include <string>
#include <vector>

namespace mactok {

/** The place of a stored record's bytes in the archive's file. */
struct TorchRecord {
  std::string name;
  int64_t offset, size;
};

/**
 * What `torch.save` writes since PyTorch 1.6: a zip of stored records. Nothing in it is executed or
 * interpreted.
 */
struct TorchArchive {
  std::vector<TorchRecord> records;
  /** The bytes of `data.pkl`, whose checksum is verified. */
  std::string pickle;
};

/**
 * Reads the directory of an archive and its pickle. Throws std::invalid_argument if it is damaged,
 * if a record is compressed (which PyTorch never does) or reaches beyond the file, or if the pickle
 * is longer than max_pickle.
 */
TorchArchive read_torch_archive(const std::string& path, int64_t max_pickle);

}  // namespace mactok
