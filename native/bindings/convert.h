#pragma once

#include <napi.h>
#include "runtime/torch.h"

#include <string>
#include <vector>

#include "runtime/autocast.h"

/**
 * Converts JavaScript values to C++ ones. Every function throws a TypeError that names the
 * parameter.
 */
namespace mactok::convert {

[[noreturn]] void invalid(Napi::Env env, const std::string& name, const std::string& expected);

double number(const Napi::Value& value, const std::string& name);
int64_t integer(const Napi::Value& value, const std::string& name);
/** An integer of at least `least`. */
int64_t count(const Napi::Value& value, const std::string& name, int64_t least);
/** A non-negative integer, or −1 for the whole batch. */
uint64_t index(const Napi::Value& value, const std::string& name);
bool boolean(const Napi::Value& value, const std::string& name);
std::string string(const Napi::Value& value, const std::string& name);
Napi::Object object(const Napi::Value& value, const std::string& name);
Napi::Array array(const Napi::Value& value, const std::string& name);
std::vector<int64_t> shape(const Napi::Value& value, const std::string& name);
Precision precision(const Napi::Value& value, const std::string& name);

Napi::Array from_shape(Napi::Env env, at::IntArrayRef shape);

/** The names that JavaScript uses for dtypes: float32, bfloat16, uint8, … */
at::ScalarType dtype(const Napi::Value& value, const std::string& name);
std::string dtype_name(at::ScalarType dtype);

}  // namespace mactok::convert
