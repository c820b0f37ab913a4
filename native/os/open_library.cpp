#include "os/open_library.h"

#if defined(_WIN32)
#include "os/wide.h"
#else
#include <dlfcn.h>
#endif

namespace mactok {

std::string open_library(const std::string& path) {
#if defined(_WIN32)
  // Dependencies are searched for in the library's own folder.
  if (LoadLibraryExW(to_wide(path).c_str(), nullptr, LOAD_WITH_ALTERED_SEARCH_PATH)) return {};
  return last_error();
#else
  if (dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) return {};
  return dlerror();
#endif
}

}  // namespace mactok
