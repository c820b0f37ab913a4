#include "os/loaded_libraries.h"

#if defined(_WIN32)
#include "os/wide.h"
// After windows.h, which it needs.
#include <psapi.h>
#elif defined(__APPLE__)
#include <mach-o/dyld.h>
#else
#include <link.h>
#endif

namespace mactok {

std::vector<std::string> loaded_libraries() {
  std::vector<std::string> paths;
#if defined(_WIN32)
  HMODULE modules[1024];
  DWORD bytes = 0;
  if (!EnumProcessModules(GetCurrentProcess(), modules, sizeof modules, &bytes)) return paths;
  for (DWORD i = 0; i < bytes / sizeof(HMODULE) && i < 1024; ++i) {
    wchar_t path[MAX_PATH];
    const DWORD size = GetModuleFileNameW(modules[i], path, MAX_PATH);
    if (size > 0) paths.push_back(to_utf8(path, static_cast<int>(size)));
  }
#elif defined(__APPLE__)
  for (uint32_t i = 0; i < _dyld_image_count(); ++i) paths.emplace_back(_dyld_get_image_name(i));
#else
  const auto append = [](dl_phdr_info* library, size_t, void* list) {
    static_cast<std::vector<std::string>*>(list)->emplace_back(library->dlpi_name);
    return 0;
  };
  dl_iterate_phdr(append, &paths);
#endif
  return paths;
}

}  // namespace mactok
