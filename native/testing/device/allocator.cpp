#include "testing/device/allocator.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <iomanip>
#include <iterator>
#include <map>
#include <sstream>
#include <tuple>
#include <utility>
#include <vector>

#include "testing/device/arena.h"
#include "testing/device/counters.h"
#include "testing/device/faults.h"
#include "testing/device/recorder.h"
#include "testing/device/streams.h"

namespace mactok::stand_in {
namespace {

constexpr int64_t kCapacity = int64_t{4} << 30;
constexpr size_t kAlignment = 512;
/** Bytes that are NaN in every floating type. */
constexpr int kPoison = 0xff;

/** Device, pool and stream: who may be handed a free block. */
using Owner = std::tuple<int, int, size_t>;

struct Memory {
  std::map<char*, Block> blocks;
  std::map<Owner, std::multimap<size_t, Block*>> free_blocks;
  CudaMemory devices[kDevices] = {};
  int64_t capacity = kCapacity;
  int pools = 0;
};

Memory& memory() {
  static auto& instance = *new Memory;
  return instance;
}

/** As LibTorch writes a size. */
std::string format_size(int64_t bytes) {
  if (bytes < 1 << 20) return std::to_string(bytes) + " bytes";
  const bool small = bytes < 1 << 30;
  std::ostringstream text;
  text << std::fixed << std::setprecision(2)
       << static_cast<double>(bytes) / (small ? 1 << 20 : 1 << 30) << (small ? " MiB" : " GiB");
  return text.str();
}

[[noreturn]] void throw_out_of_memory(int device, size_t bytes) {
  const auto free = memory().capacity - memory().devices[device].reserved;
  TORCH_CHECK_WITH(OutOfMemoryError, false, "CUDA out of memory. Tried to allocate ",
                   format_size(static_cast<int64_t>(bytes)), ". GPU ", device,
                   " has a total capacity of ", format_size(memory().capacity), " of which ",
                   format_size(free), " is free.");
  std::abort();
}

Owner owner_of(const Block& block) { return {block.device, block.pool, block.stream}; }

/** Before others of its size: what was freed last is used first. */
void add_free_block(Block& block) {
  auto& blocks = memory().free_blocks[owner_of(block)];
  blocks.emplace_hint(blocks.lower_bound(block.size), block.size, &block);
}

/** A free block that is not much too large, or nullptr. */
Block* take_free_block(const Owner& owner, size_t bytes) {
  auto& blocks = memory().free_blocks[owner];
  const auto found = blocks.lower_bound(bytes);
  if (found == blocks.end() || found->first > 2 * bytes) return nullptr;
  Block* block = found->second;
  blocks.erase(found);
  return block;
}

Block* add_block(const Owner& owner, size_t bytes) {
  const auto [device, pool, stream] = owner;
  auto& state = memory().devices[device];
  const auto size = static_cast<int64_t>(bytes);
  const auto is_short = [&] { return state.reserved + size > memory().capacity; };
  // LibTorch returns nothing while it records.
  if (is_short() && pool == 0) empty_cache(device);
  if (is_short()) throw_out_of_memory(device, bytes);
  state.reserved += size;
  char* begin = reserve_addresses(bytes);
  auto& block = memory().blocks[begin];
  block = {.begin = begin, .size = bytes, .device = device, .stream = stream, .pool = pool};
  poison(block);
  return &block;
}

void release(void* pointer) {
  if (!pointer) return;
  const StateLock lock(state_mutex());
  auto& block = memory().blocks.at(static_cast<char*>(pointer));
  memory().devices[block.device].allocated -= static_cast<int64_t>(block.size);
  count_bytes(-block.used);
  block.alive = false;
  for (const size_t user : std::exchange(block.users, {})) block.history.forget(user);
  poison(block);
  add_free_block(block);
}

class DeviceAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    const StateLock lock(state_mutex());
    const int device = current_device();
    const c10::Device where(c10::kCUDA, static_cast<c10::DeviceIndex>(device));
    if (bytes == 0) return {nullptr, nullptr, &release, where};
    count_allocation();
    bytes = (bytes + kAlignment - 1) / kAlignment * kAlignment;
    if (counts_down_to_failed_allocation()) throw_out_of_memory(device, bytes);
    const size_t stream = current_stream(device);
    const Owner owner{device, pool_of(recorder_of(stream)), stream};
    Block* block = take_free_block(owner, bytes);
    if (!block) block = add_block(owner, bytes);
    block->alive = true;
    ++block->generation;
    block->history.hand_on();
    auto& state = memory().devices[device];
    state.allocated += static_cast<int64_t>(block->size);
    block->used = static_cast<int64_t>(bytes);
    count_bytes(block->used);
    state.peak_allocated = std::max(state.peak_allocated, state.allocated);
    return {block->begin, block->begin, &release, where};
  }

  c10::DeleterFnPtr raw_deleter() const override { return &release; }

  void copy_data(void* target, const void* source, size_t bytes) const override {
    std::memcpy(operation_view(target), operation_view(source), bytes);
  }
};

}  // namespace

void poison(const Block& block) { std::memset(operation_view(block.begin), kPoison, block.size); }

c10::Allocator& device_allocator() {
  static auto& instance = *new DeviceAllocator;
  return instance;
}

Block* find_block(const void* address) {
  const StateLock lock(state_mutex());
  auto& blocks = memory().blocks;
  auto found = blocks.upper_bound(static_cast<char*>(const_cast<void*>(address)));
  if (found == blocks.begin()) return nullptr;
  auto& block = std::prev(found)->second;
  return address < block.begin + block.size ? &block : nullptr;
}

void record_stream(const void* address, size_t stream) {
  const StateLock lock(state_mutex());
  Block* block = find_block(address);
  if (block && block->stream != stream) block->users.insert(stream);
}

CudaMemory device_memory(int device) {
  const StateLock lock(state_mutex());
  auto result = memory().devices[device];
  result.free = memory().capacity - result.reserved;
  result.total = memory().capacity;
  return result;
}

void limit_memory(int64_t bytes) {
  const StateLock lock(state_mutex());
  memory().capacity = bytes > 0 ? bytes : kCapacity;
}

void empty_cache(int device) {
  const StateLock lock(state_mutex());
  for (auto& [owner, blocks] : memory().free_blocks) {
    const auto [of, pool, stream] = owner;
    if (of != device || pool != 0) continue;
    for (const auto& [size, block] : blocks) {
      memory().devices[device].reserved -= static_cast<int64_t>(size);
      discard_pages(block->begin, block->size);
      memory().blocks.erase(block->begin);
    }
    blocks.clear();
  }
}

int open_pool() {
  const StateLock lock(state_mutex());
  return ++memory().pools;
}

void close_pool(int pool) {
  const StateLock lock(state_mutex());
  auto& all = memory().free_blocks;
  std::vector<Block*> freed;
  for (auto it = all.begin(); it != all.end();) {
    const bool closing = std::get<1>(it->first) == pool;
    if (closing) {
      for (const auto& [size, block] : it->second) freed.push_back(block);
    }
    it = closing ? all.erase(it) : std::next(it);
  }
  for (auto& [begin, block] : memory().blocks) {
    if (block.pool == pool) block.pool = 0;
  }
  for (Block* block : freed) {
    // CUDA's allocator gives it back to the driver, which waits for the device.
    block->history = {};
    add_free_block(*block);
  }
}

}  // namespace mactok::stand_in
