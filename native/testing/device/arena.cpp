#include "testing/device/arena.h"

#include <sys/mman.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstdio>
#include <stdexcept>

namespace mactok::stand_in {
namespace {

/** Far more than is used: pages exist once they are written. */
constexpr size_t kAddresses = size_t{1} << 38;

struct Arena {
  Arena();

  bool contains(const void* address) const {
    const auto* begin = static_cast<const char*>(address);
    return begin >= untouchable && begin < untouchable + kAddresses;
  }

  int file = -1;
  char* untouchable = nullptr;
  char* accessible = nullptr;
  size_t reserved = 0;
};

Arena& arena() {
  static auto& instance = *new Arena;
  return instance;
}

struct sigaction previous_action;

/** Names the mistake before the process ends as it would anyway. */
void report_segmentation_fault(int signal, siginfo_t* info, void*) {
  if (arena().contains(info->si_addr)) {
    constexpr char text[] = "the host has touched device memory\n";
    [[maybe_unused]] const auto written = write(STDERR_FILENO, text, sizeof text - 1);
  }
  sigaction(signal, &previous_action, nullptr);
}

void* map(int file, int protection) {
  void* address =
      mmap(nullptr, kAddresses, protection, MAP_SHARED | MAP_NORESERVE, file, /*offset=*/0);
  if (address == MAP_FAILED) throw std::runtime_error("The stand-in device cannot map its memory");
  return address;
}

Arena::Arena() : file(memfd_create("mactok-stand-in", 0)) {
  if (file < 0 || ftruncate(file, kAddresses) != 0) {
    throw std::runtime_error("The stand-in device cannot create its memory");
  }
  untouchable = static_cast<char*>(map(file, PROT_NONE));
  accessible = static_cast<char*>(map(file, PROT_READ | PROT_WRITE));
  struct sigaction action{};
  action.sa_sigaction = report_segmentation_fault;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGSEGV, &action, &previous_action);
}

}  // namespace

char* reserve_addresses(size_t bytes) {
  auto& all = arena();
  if (bytes > kAddresses - all.reserved) {
    throw std::runtime_error("The stand-in device has no addresses left");
  }
  char* begin = all.untouchable + all.reserved;
  all.reserved += bytes;
  return begin;
}

void discard_pages(char* begin, size_t bytes) {
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto view = reinterpret_cast<uintptr_t>(operation_view(begin));
  const auto first = (view + page - 1) / page * page;
  const auto end = (view + bytes) / page * page;
  if (first < end) madvise(reinterpret_cast<void*>(first), end - first, MADV_REMOVE);
}

char* operation_view(const void* device_address) {
  auto& all = arena();
  return all.accessible + (static_cast<const char*>(device_address) - all.untouchable);
}

}  // namespace mactok::stand_in
