#include "bindings/convert.h"

#include <array>
#include <cmath>
#include <utility>

#include "bindings/choice.h"

namespace mactok::convert {
namespace {

constexpr std::array<std::pair<const char*, at::ScalarType>, 10> kDtypes{{
    {"float32", at::kFloat},
    {"float64", at::kDouble},
    {"float16", at::kHalf},
    {"bfloat16", at::kBFloat16},
    {"int64", at::kLong},
    {"int32", at::kInt},
    {"int16", at::kShort},
    {"int8", at::kChar},
    {"uint8", at::kByte},
    {"bool", at::kBool},
}};

}  // namespace

void invalid(Napi::Env env, const std::string& name, const std::string& expected) {
  throw Napi::TypeError::New(env, "Expected " + expected + " for " + name);
}

double number(const Napi::Value& value, const std::string& name) {
  if (!value.IsNumber()) invalid(value.Env(), name, "a number");
  return value.As<Napi::Number>().DoubleValue();
}

int64_t integer(const Napi::Value& value, const std::string& name) {
  const double result = number(value, name);
  if (std::trunc(result) != result || std::abs(result) > 9007199254740991.0) {
    invalid(value.Env(), name, "an integer");
  }
  return static_cast<int64_t>(result);
}

int64_t count(const Napi::Value& value, const std::string& name, int64_t least) {
  const int64_t result = integer(value, name);
  if (result < least) invalid(value.Env(), name, "an integer from " + std::to_string(least));
  return result;
}

uint64_t index(const Napi::Value& value, const std::string& name) {
  const int64_t result = integer(value, name);
  if (result < -1) invalid(value.Env(), name, "a non-negative integer");
  return static_cast<uint64_t>(result);
}

bool boolean(const Napi::Value& value, const std::string& name) {
  if (!value.IsBoolean()) invalid(value.Env(), name, "a boolean");
  return value.As<Napi::Boolean>().Value();
}

std::string string(const Napi::Value& value, const std::string& name) {
  if (!value.IsString()) invalid(value.Env(), name, "a string");
  return value.As<Napi::String>().Utf8Value();
}

Napi::Object object(const Napi::Value& value, const std::string& name) {
  if (!value.IsObject()) invalid(value.Env(), name, "an object");
  return value.As<Napi::Object>();
}

Napi::Array array(const Napi::Value& value, const std::string& name) {
  if (!value.IsArray()) invalid(value.Env(), name, "an array");
  return value.As<Napi::Array>();
}

std::vector<int64_t> shape(const Napi::Value& value, const std::string& name) {
  const auto sizes = array(value, name);
  std::vector<int64_t> result;
  for (uint32_t i = 0; i < sizes.Length(); ++i) {
    result.push_back(integer(sizes.Get(i), name));
    if (result.back() < 0) invalid(value.Env(), name, "non-negative sizes");
  }
  return result;
}

Precision precision(const Napi::Value& value, const std::string& name) {
  return choice<Precision>(
      value, name,
      {{"fp32", Precision::fp32}, {"tf32", Precision::tf32}, {"bf16", Precision::bf16}});
}

Napi::Array from_shape(Napi::Env env, at::IntArrayRef shape) {
  auto result = Napi::Array::New(env, shape.size());
  for (size_t i = 0; i < shape.size(); ++i) {
    result.Set(static_cast<uint32_t>(i), Napi::Number::New(env, static_cast<double>(shape[i])));
  }
  return result;
}

at::ScalarType dtype(const Napi::Value& value, const std::string& name) {
  const auto text = string(value, name);
  for (const auto& [known, type] : kDtypes) {
    if (text == known) return type;
  }
  invalid(value.Env(), name, "a dtype name such as float32");
}

std::string dtype_name(at::ScalarType dtype) {
  for (const auto& [known, type] : kDtypes) {
    if (dtype == type) return known;
  }
  return c10::toString(dtype);
}

}  // namespace mactok::convert
