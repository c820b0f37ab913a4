# Read after CMake's own rules for macOS: Zig's linker crashes on bundles, and a library does the same for dlopen.
set(CMAKE_SHARED_MODULE_CREATE_CXX_FLAGS "-dynamiclib -Wl,-headerpad_max_install_names")
