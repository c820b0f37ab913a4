#pragma once

// ProcessGroupGloo.hpp includes this header of Gloo, but uses nothing of it.
