#pragma once

namespace mactok {

/**
 * Makes LibTorch keep freed blocks for the next tensor. Those above 32 KiB would go back to the system, to be faulted in again every
 * step; of them it never holds more than was in use at once before, plus an eighth. Smaller ones, of which it holds 16 MiB, would
 * have malloc split and merge its aligned blocks thousands of times a step. Once a process.
 */
void cache_cpu_memory();

}  // namespace mactok
