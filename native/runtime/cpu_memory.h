#pragma once

namespace mactok {

/**
 * Makes LibTorch keep freed blocks for the next tensor: the system would have to fault them in again every step. Those above 32 KiB
 * are cut from segments of 1 GiB and become one range with free neighbours, so that what is held is about what was in use at once.
 * Smaller ones, of which it holds 16 MiB, would have malloc split and merge its aligned blocks thousands of times a step. Once a
 * process.
 */
void cache_cpu_memory();

/** Gives the memory of freed blocks back to the system (Linux). The next tensors fault it in again. */
void release_free_cpu_memory();

}  // namespace mactok
