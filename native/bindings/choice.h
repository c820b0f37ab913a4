#pragma once

#include <napi.h>

#include <cstddef>
#include <string>
#include <utility>

#include "bindings/convert.h"

namespace mactok {

/** The value that a JavaScript string names. A TypeError lists the choices otherwise. */
template <typename Value, size_t N>
Value choice(const Napi::Value& value, const std::string& name,
             const std::pair<const char*, Value> (&choices)[N]) {
  const auto text = convert::string(value, name);
  std::string expected;
  for (size_t i = 0; i < N; ++i) {
    if (text == choices[i].first) return choices[i].second;
    if (i > 0) expected += i + 1 < N ? ", " : " or ";
    expected += choices[i].first;
  }
  convert::invalid(value.Env(), name, expected);
}

}  // namespace mactok
