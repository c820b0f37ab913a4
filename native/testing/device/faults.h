#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace mactok::stand_in {

/** Remembers a mistake of the program and throws it. */
[[noreturn]] void report_fault(const std::string& fault);
std::vector<std::string> take_faults();

/** The n-th allocation on a device from now on fails, once; 0: none does. */
void fail_allocation(int64_t n);
bool counts_down_to_failed_allocation();

/**
 * The n-th operation from now on breaks the device; 0: none does. As on a GPU, operations continue
 * without an error until the host waits, and nothing works after that, until `recover`.
 */
void fail_operation(int64_t n);
void recover();
void count_down_to_error();
/** Called where the host waits: throws if the device is broken. */
void surface_asynchronous_error();
/** Throws once the error has surfaced. */
void refuse_after_error();

}  // namespace mactok::stand_in
