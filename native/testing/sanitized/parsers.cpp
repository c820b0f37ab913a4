/**
 * Reads the files of a folder as archives of torch.save, and resamples images of random sizes, for
 * a build with sanitizers: parsers <folder> <images>. Refused files are fine; a sanitizer's report
 * is not.
 */

#include <filesystem>
#include <iostream>
#include <random>
#include <vector>

#include "files/mapped_file.h"
#include "files/torch_archive.h"
#include "image/resample.h"

namespace {

constexpr int64_t kMaxPickle = 1 << 20;

void read_archive(const std::string& path) {
  const auto archive = mactok::read_torch_archive(path, kMaxPickle);
  const auto file = mactok::MappedFile::open(path);
  for (const auto& record : archive.records) {
    file->tensor(record.offset, at::kByte, {record.size}).sum().item<int64_t>();
    file->tensor(record.offset, at::kFloat, {record.size / 4}).isfinite().all().item<bool>();
    const std::vector<mactok::MappedFile::Copy> copies{{record.offset, 0}};
    std::vector<uint8_t> bytes(record.size);
    file->check(copies, record.size, record.size);
    file->gather(copies, record.size, bytes.data());
  }
}

/** Sizes as lib/data/crop.ts asks for, in buffers without room to spare. */
void resample(std::mt19937& random) {
  const auto within = [&random](int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random);
  };
  const int64_t width = within(1, 96), height = within(1, 96);
  mactok::image::Resample target{};
  target.filter = within(0, 1) ? mactok::image::Filter::box : mactok::image::Filter::bicubic;
  target.width = within(1, 96);
  target.height = within(1, 96);
  target.left = within(0, target.width - 1);
  target.top = within(0, target.height - 1);
  target.window_width = within(1, target.width - target.left);
  target.window_height = within(1, target.height - target.top);
  target.mirror = within(0, 1) == 1;
  std::vector<uint8_t> source(width * height * 3);
  for (auto& byte : source) byte = static_cast<uint8_t>(random());
  std::vector<uint8_t> result(target.window_width * target.window_height * 3);
  mactok::image::resample(source.data(), width, height, target, result.data());
}

}  // namespace

int main(int, char** arguments) {
  int64_t read = 0, refused = 0;
  for (const auto& entry : std::filesystem::directory_iterator(arguments[1])) {
    try {
      read_archive(entry.path());
      ++read;
    } catch (const std::exception&) {
      ++refused;
    }
  }
  std::mt19937 random(1);
  const int images = std::stoi(arguments[2]);
  for (int i = 0; i < images; ++i) resample(random);
  std::cout << "{\"read\":" << read << ",\"refused\":" << refused << ",\"images\":" << images
            << "}\n";
  return 0;
}
