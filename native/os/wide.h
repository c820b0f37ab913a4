#pragma once

#if defined(_WIN32)
#include <windows.h>

#include <string>

namespace mactok {

/** UTF-8, which JavaScript and we use, as Windows takes paths. */
inline std::wstring to_wide(const std::string& text) {
  const int size = static_cast<int>(text.size());
  std::wstring wide(MultiByteToWideChar(CP_UTF8, 0, text.data(), size, nullptr, 0), L'\0');
  MultiByteToWideChar(CP_UTF8, 0, text.data(), size, wide.data(), static_cast<int>(wide.size()));
  return wide;
}

inline std::string to_utf8(const wchar_t* text, int size) {
  std::string utf8(WideCharToMultiByte(CP_UTF8, 0, text, size, nullptr, 0, nullptr, nullptr), '\0');
  WideCharToMultiByte(CP_UTF8, 0, text, size, utf8.data(), static_cast<int>(utf8.size()), nullptr,
                      nullptr);
  return utf8;
}

/** What the last failed call of the system says about itself. */
inline std::string last_error() {
  wchar_t text[512];
  const DWORD error = GetLastError();
  DWORD size = FormatMessageW(FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS, nullptr,
                              error, 0, text, 512, nullptr);
  while (size > 0 && (text[size - 1] == L'\n' || text[size - 1] == L'\r')) --size;
  return size > 0 ? to_utf8(text, static_cast<int>(size)) : "error " + std::to_string(error);
}

}  // namespace mactok
#endif
