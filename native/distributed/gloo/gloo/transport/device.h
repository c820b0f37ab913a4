#pragma once

namespace gloo::transport {

/** Types that ProcessGroupGloo.hpp only points to; LibTorch defines them. */
class Device;
class UnboundBuffer;

}  // namespace gloo::transport
