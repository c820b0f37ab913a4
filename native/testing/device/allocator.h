#pragma once

#include <c10/core/Allocator.h>

#include <set>

#include "cuda/interface.h"
#include "testing/device/order.h"

namespace mactok::stand_in {

/** A piece of device memory. Once freed it is filled with NaN, and serves its stream and pool again. */
struct Block {
  char* begin;
  size_t size;
  int device;
  size_t stream;
  /** Of graphs; 0 is everyone's. */
  int pool;
  bool alive = true;
  /** Bytes of the tensor in it. */
  int64_t used = 0;
  /** How often it was handed out. */
  int64_t generation = 0;
  /** Streams that must be done with it before it is handed out again (record_stream). */
  std::set<size_t> users = {};
  History history = {};
};

c10::Allocator& device_allocator();

/** The block that holds a device address, or nullptr. */
Block* find_block(const void* address);

/** Fills a block with NaN. */
void poison(const Block& block);

/** As CUDA's allocator does with a tensor that another stream uses. */
void record_stream(const void* address, size_t stream);

CudaMemory device_memory(int device);

/** A device has so many bytes from now on; 0: as many as at the start. */
void limit_memory(int64_t bytes);

/** Returns free memory to the system. */
void empty_cache(int device);

/** Memory that a graph's work allocates stays its own until the pool is closed. */
int open_pool();
void close_pool(int pool);

}  // namespace mactok::stand_in
