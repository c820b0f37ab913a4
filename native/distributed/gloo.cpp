#include "distributed/gloo.h"

#include <cstdlib>
#include <memory>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>

#ifndef _WIN32
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#endif

namespace mactok {
namespace {

/** The address of this machine that a host is reached from; empty where there is none. */
std::string address_towards(const std::string& host, uint16_t port) {
#ifdef _WIN32
  return "";
#else
  addrinfo hints{};
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) return "";
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> addresses(found, freeaddrinfo);
  for (const auto* address = found; address; address = address->ai_next) {
    const int handle = socket(address->ai_family, SOCK_DGRAM, 0);
    if (handle < 0) continue;
    sockaddr_storage own{};
    socklen_t length = sizeof(own);
    std::array<char, NI_MAXHOST> text{};
    // Connecting a datagram socket sends nothing, but chooses the route.
    const bool known = connect(handle, address->ai_addr, address->ai_addrlen) == 0 &&
                       getsockname(handle, reinterpret_cast<sockaddr*>(&own), &length) == 0 &&
                       getnameinfo(reinterpret_cast<sockaddr*>(&own), length, text.data(),
                                   text.size(), nullptr, 0, NI_NUMERICHOST) == 0;
    close(handle);
    if (known) return text.data();
  }
  return "";
#endif
}

std::shared_ptr<gloo::transport::Device> choose_device(const GlooOptions& options) {
  // PyTorch's own variable.
  if (const char* name = std::getenv("GLOO_SOCKET_IFNAME")) {
    return c10d::ProcessGroupGloo::createDeviceForInterface(name);
  }
  const auto address = address_towards(options.host, options.port);
  return address.empty() ? c10d::ProcessGroupGloo::createDefaultDevice()
                         : c10d::ProcessGroupGloo::createDeviceForHostname(address);
}

}  // namespace

c10::intrusive_ptr<c10d::Backend> open_gloo(const c10::intrusive_ptr<c10d::Store>& store,
                                            const GlooOptions& options) {
  auto settings = c10d::ProcessGroupGloo::Options::create(options.timeout);
  settings->devices.push_back(choose_device(options));
  settings->threads = options.threads;
  return c10::make_intrusive<c10d::ProcessGroupGloo>(store, options.rank, options.size, settings);
}

}  // namespace mactok
