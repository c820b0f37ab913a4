#pragma once

namespace mactok {

/**
 * Makes LibTorch keep freed blocks of 64 KiB and more for the next tensor, instead of giving their pages back to the system and
 * faulting them in again every step. Never holds more than was in use at once before, plus an eighth. Once a process.
 */
void cache_cpu_memory();

}  // namespace mactok
