# Imported targets from an unpacked LibTorch, or the `torch` folder of a Python installation.
#
#   LIBTORCH            the folder with include/ and lib/ (cache variable or environment)
#   LIBTORCH_VERSION    from its headers, for example 2.15.0
#   LibTorch::c10, LibTorch::torch_cpu    libraries with their headers as system headers
#
# LibTorch's own package file is not used: it requires a CUDA toolkit if LibTorch was built with CUDA.

if(NOT LIBTORCH)
  set(LIBTORCH "$ENV{LIBTORCH}")
endif()
set(LIBTORCH "${LIBTORCH}" CACHE PATH "Unpacked LibTorch" FORCE)

find_path(LIBTORCH_INCLUDE_DIR torch/csrc/api/include/torch/torch.h
          PATHS "${LIBTORCH}/include" NO_DEFAULT_PATH NO_CACHE)
find_library(LIBTORCH_CPU_LIBRARY torch_cpu PATHS "${LIBTORCH}/lib" NO_DEFAULT_PATH NO_CACHE)
find_library(LIBTORCH_C10_LIBRARY c10 PATHS "${LIBTORCH}/lib" NO_DEFAULT_PATH NO_CACHE)

set(LIBTORCH_VERSION "")
foreach(header torch/headeronly/version.h torch/csrc/api/include/torch/version.h)
  if(NOT LIBTORCH_VERSION AND EXISTS "${LIBTORCH_INCLUDE_DIR}/${header}")
    file(READ "${LIBTORCH_INCLUDE_DIR}/${header}" text)
    if(text MATCHES "VERSION_MAJOR ([0-9]+).*VERSION_MINOR ([0-9]+).*VERSION_PATCH ([0-9]+)")
      set(LIBTORCH_VERSION "${CMAKE_MATCH_1}.${CMAKE_MATCH_2}.${CMAKE_MATCH_3}")
    endif()
  endif()
endforeach()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(
  LibTorch
  REQUIRED_VARS LIBTORCH_CPU_LIBRARY LIBTORCH_C10_LIBRARY LIBTORCH_INCLUDE_DIR LIBTORCH_VERSION
  VERSION_VAR LIBTORCH_VERSION
  REASON_FAILURE_MESSAGE "LIBTORCH is '${LIBTORCH}' -- 'npm run setup' finds or fetches LibTorch")

if(LibTorch_FOUND AND NOT TARGET LibTorch::torch_cpu)
  add_library(LibTorch::c10 UNKNOWN IMPORTED)
  set_target_properties(
    LibTorch::c10
    PROPERTIES IMPORTED_LOCATION "${LIBTORCH_C10_LIBRARY}"
               INTERFACE_INCLUDE_DIRECTORIES
               "${LIBTORCH_INCLUDE_DIR};${LIBTORCH_INCLUDE_DIR}/torch/csrc/api/include"
               INTERFACE_COMPILE_DEFINITIONS "$<$<PLATFORM_ID:Linux>:_GLIBCXX_USE_CXX11_ABI=1>")

  add_library(LibTorch::torch_cpu UNKNOWN IMPORTED)
  set_target_properties(
    LibTorch::torch_cpu PROPERTIES IMPORTED_LOCATION "${LIBTORCH_CPU_LIBRARY}"
                                   INTERFACE_LINK_LIBRARIES LibTorch::c10)
endif()
