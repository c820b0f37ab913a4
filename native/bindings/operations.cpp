#include "bindings/operations.h"

#include <cmath>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "bindings/convert.h"
#include "bindings/promise.h"
#include "bindings/tensor.h"
#include "runtime/device.h"

namespace mactok {
namespace {

using Ints = std::vector<int64_t>;

/** The tensors that an operation reads. */
class Inputs {
 public:
  void add(at::Tensor tensor) { values_.push_back(std::move(tensor)); }
  const at::Tensor& operator[](size_t i) const { return values_.at(i); }
  const std::vector<at::Tensor>& all() const { return values_; }

 private:
  std::vector<at::Tensor> values_;
};

/** The options of an operation, which JavaScript has checked (lib/tensor/values.ts). */
class Options {
 public:
  using Value = std::variant<std::monostate, bool, int64_t, double, std::string, Ints, at::Device,
                             at::ScalarType>;

  void add(Value value) { values_.push_back(std::move(value)); }

  template <typename T>
  const T& get(size_t i) const {
    return std::get<T>(values_.at(i));
  }

  bool flag(size_t i) const { return get<bool>(i); }
  int64_t integer(size_t i) const { return get<int64_t>(i); }
  const Ints& ints(size_t i) const { return get<Ints>(i); }

  at::Scalar number(size_t i) const {
    if (std::holds_alternative<int64_t>(values_.at(i))) return integer(i);
    return get<double>(i);
  }

  bool is_null(size_t i) const { return std::holds_alternative<std::monostate>(values_.at(i)); }

  std::optional<at::Scalar> optional_number(size_t i) const {
    return is_null(i) ? std::nullopt : std::optional(number(i));
  }

  std::optional<int64_t> optional_integer(size_t i) const {
    return is_null(i) ? std::nullopt : std::optional(integer(i));
  }

 private:
  std::vector<Value> values_;
};

/** A number counts as one of Python: it keeps the dtype of the tensors that it meets. */
at::Tensor wrapped_number(const at::Scalar& number) {
  const auto dtype = number.isFloatingPoint() ? at::kDouble : at::kLong;
  auto result = at::scalar_tensor(number, at::TensorOptions().dtype(dtype));
  result.unsafeGetTensorImpl()->set_wrapped_number(true);
  return result;
}

/** LibTorch computes powers by numbers in another way: squares as products, roots as roots. */
at::Tensor power(const at::Tensor& base, const at::Tensor& exponent) {
  const bool is_number = exponent.unsafeGetTensorImpl()->is_wrapped_number();
  return is_number ? at::pow(base, exponent.item()) : at::pow(base, exponent);
}

at::Tensor interpolate(const at::Tensor& images, const Options& options) {
  constexpr bool kAlignCorners = false;
  const auto& size = options.ints(0);
  const auto& mode = options.get<std::string>(1);
  const bool antialias = options.flag(2);
  if (mode == "nearest") return at::upsample_nearest2d(images, size);
  if (mode == "bilinear") {
    return antialias ? at::_upsample_bilinear2d_aa(images, size, kAlignCorners)
                     : at::upsample_bilinear2d(images, size, kAlignCorners);
  }
  return antialias ? at::_upsample_bicubic2d_aa(images, size, kAlignCorners)
                   : at::upsample_bicubic2d(images, size, kAlignCorners);
}

using Operation = at::Tensor (*)(const Inputs& x, const Options& o);

/** LibTorch's operations by the names that lib/tensor/values.ts uses. */
constexpr std::pair<std::string_view, Operation> kOperations[] = {
    {"number", [](const Inputs&, const Options& o) { return wrapped_number(o.number(0)); }},
    {"to",
     [](const Inputs& x, const Options& o) {
       return x[0].to(o.get<at::Device>(0), o.get<at::ScalarType>(1));
     }},

    // Shapes
    {"select",
     [](const Inputs& x, const Options& o) { return x[0].select(o.integer(0), o.integer(1)); }},
    {"slice",
     [](const Inputs& x, const Options& o) {
       return x[0].slice(o.integer(0), o.integer(1), o.integer(2), o.integer(3));
     }},
    {"reshape", [](const Inputs& x, const Options& o) { return x[0].reshape(o.ints(0)); }},
    {"permute", [](const Inputs& x, const Options& o) { return x[0].permute(o.ints(0)); }},
    {"expand", [](const Inputs& x, const Options& o) { return x[0].expand(o.ints(0)); }},
    {"flip", [](const Inputs& x, const Options& o) { return at::flip(x[0], o.ints(0)); }},
    {"cat", [](const Inputs& x, const Options& o) { return at::cat(x.all(), o.integer(0)); }},
    {"stack", [](const Inputs& x, const Options& o) { return at::stack(x.all(), o.integer(0)); }},

    // Elements
    {"neg", [](const Inputs& x, const Options&) { return at::neg(x[0]); }},
    {"abs", [](const Inputs& x, const Options&) { return at::abs(x[0]); }},
    {"exp", [](const Inputs& x, const Options&) { return at::exp(x[0]); }},
    {"log", [](const Inputs& x, const Options&) { return at::log(x[0]); }},
    {"sqrt", [](const Inputs& x, const Options&) { return at::sqrt(x[0]); }},
    {"sin", [](const Inputs& x, const Options&) { return at::sin(x[0]); }},
    {"cos", [](const Inputs& x, const Options&) { return at::cos(x[0]); }},
    {"tanh", [](const Inputs& x, const Options&) { return at::tanh(x[0]); }},
    {"sigmoid", [](const Inputs& x, const Options&) { return at::sigmoid(x[0]); }},
    {"floor", [](const Inputs& x, const Options&) { return at::floor(x[0]); }},
    {"ceil", [](const Inputs& x, const Options&) { return at::ceil(x[0]); }},
    {"round", [](const Inputs& x, const Options&) { return at::round(x[0]); }},
    {"isnan", [](const Inputs& x, const Options&) { return at::isnan(x[0]); }},
    {"isfinite", [](const Inputs& x, const Options&) { return at::isfinite(x[0]); }},
    {"not", [](const Inputs& x, const Options&) { return at::logical_not(x[0]); }},
    {"clamp",
     [](const Inputs& x, const Options& o) {
       return at::clamp(x[0], o.optional_number(0), o.optional_number(1));
     }},

    // Pairs of elements
    {"add", [](const Inputs& x, const Options&) { return at::add(x[0], x[1]); }},
    {"sub", [](const Inputs& x, const Options&) { return at::sub(x[0], x[1]); }},
    {"mul", [](const Inputs& x, const Options&) { return at::mul(x[0], x[1]); }},
    {"div", [](const Inputs& x, const Options&) { return at::div(x[0], x[1]); }},
    {"pow", [](const Inputs& x, const Options&) { return power(x[0], x[1]); }},
    {"minimum", [](const Inputs& x, const Options&) { return at::minimum(x[0], x[1]); }},
    {"maximum", [](const Inputs& x, const Options&) { return at::maximum(x[0], x[1]); }},
    {"eq", [](const Inputs& x, const Options&) { return at::eq(x[0], x[1]); }},
    {"ne", [](const Inputs& x, const Options&) { return at::ne(x[0], x[1]); }},
    {"lt", [](const Inputs& x, const Options&) { return at::lt(x[0], x[1]); }},
    {"le", [](const Inputs& x, const Options&) { return at::le(x[0], x[1]); }},
    {"gt", [](const Inputs& x, const Options&) { return at::gt(x[0], x[1]); }},
    {"ge", [](const Inputs& x, const Options&) { return at::ge(x[0], x[1]); }},
    {"and", [](const Inputs& x, const Options&) { return at::logical_and(x[0], x[1]); }},
    {"or", [](const Inputs& x, const Options&) { return at::logical_or(x[0], x[1]); }},
    {"where", [](const Inputs& x, const Options&) { return at::where(x[0], x[1], x[2]); }},
    {"isclose",
     [](const Inputs& x, const Options& o) {
       return at::isclose(x[0], x[1], o.number(0).toDouble(), o.number(1).toDouble(), o.flag(2));
     }},

    // Reductions over dims
    {"sum", [](const Inputs& x, const Options& o) { return at::sum(x[0], o.ints(0), o.flag(1)); }},
    {"mean",
     [](const Inputs& x, const Options& o) { return at::mean(x[0], o.ints(0), o.flag(1)); }},
    {"min", [](const Inputs& x, const Options& o) { return at::amin(x[0], o.ints(0), o.flag(1)); }},
    {"max", [](const Inputs& x, const Options& o) { return at::amax(x[0], o.ints(0), o.flag(1)); }},
    {"any",
     [](const Inputs& x, const Options& o) {
       return at::any(x[0].to(at::kBool), o.ints(0), o.flag(1));
     }},
    {"all",
     [](const Inputs& x, const Options& o) {
       return at::all(x[0].to(at::kBool), o.ints(0), o.flag(1));
     }},
    {"std",
     [](const Inputs& x, const Options& o) {
       return at::std(x[0], at::OptionalIntArrayRef(o.ints(0)), o.number(2), o.flag(1));
     }},
    {"norm",
     [](const Inputs& x, const Options& o) {
       return at::linalg_vector_norm(x[0], o.number(2), at::OptionalIntArrayRef(o.ints(0)),
                                     o.flag(1));
     }},
    {"argmin",
     [](const Inputs& x, const Options& o) {
       return at::argmin(x[0], o.optional_integer(0), o.flag(1));
     }},
    {"argmax",
     [](const Inputs& x, const Options& o) {
       return at::argmax(x[0], o.optional_integer(0), o.flag(1));
     }},

    // Others
    {"matmul", [](const Inputs& x, const Options&) { return at::matmul(x[0], x[1]); }},
    {"softmax", [](const Inputs& x, const Options& o) { return at::softmax(x[0], o.integer(0)); }},
    {"interpolate", [](const Inputs& x, const Options& o) { return interpolate(x[0], o); }},
};

Operation operation_named(const Napi::Value& value) {
  const auto name = convert::string(value, "operation");
  for (const auto& [known, operation] : kOperations) {
    if (name == known) return operation;
  }
  convert::invalid(value.Env(), "operation", "the name of an operation");
}

/** One operation; its inputs are numbers of leaves, and then of earlier steps. */
struct Step {
  Operation operation;
  std::vector<size_t> inputs;
  Options options;
};

Options::Value to_option(const Napi::Value& value) {
  if (value.IsNull()) return std::monostate();
  if (value.IsBoolean()) return value.As<Napi::Boolean>().Value();
  if (value.IsString()) return convert::string(value, "option");
  if (value.IsArray()) {
    const auto list = value.As<Napi::Array>();
    Ints result;
    for (uint32_t i = 0; i < list.Length(); ++i) {
      result.push_back(convert::integer(list.Get(i), "option"));
    }
    return result;
  }
  if (value.IsBigInt()) {
    bool lossless = true;
    const int64_t result = value.As<Napi::BigInt>().Int64Value(&lossless);
    if (!lossless) convert::invalid(value.Env(), "option", "an integer of 64 bits");
    return result;
  }
  if (value.IsNumber()) {
    const double number = convert::number(value, "option");
    const bool whole = std::trunc(number) == number && std::abs(number) <= 9007199254740991.0 &&
                       !(number == 0 && std::signbit(number));
    if (whole) return static_cast<int64_t>(number);
    return number;
  }
  const auto target = convert::object(value, "option");
  if (target.Has("device")) return parse_device(convert::string(target.Get("device"), "device"));
  return convert::dtype(target.Get("dtype"), "dtype");
}

std::vector<Step> to_steps(const Napi::Value& value, size_t leaves) {
  const auto list = convert::array(value, "steps");
  std::vector<Step> steps;
  for (uint32_t i = 0; i < list.Length(); ++i) {
    const auto step = convert::object(list.Get(i), "step");
    Step result{operation_named(step.Get("operation")), {}, {}};
    const auto inputs = convert::array(step.Get("inputs"), "inputs");
    for (uint32_t k = 0; k < inputs.Length(); ++k) {
      const auto input = static_cast<size_t>(convert::count(inputs.Get(k), "input", 0));
      if (input >= leaves + i) convert::invalid(value.Env(), "input", "an earlier value");
      result.inputs.push_back(input);
    }
    const auto options = convert::array(step.Get("options"), "options");
    for (uint32_t k = 0; k < options.Length(); ++k) result.options.add(to_option(options.Get(k)));
    steps.push_back(std::move(result));
  }
  return steps;
}

/** Runs the steps in order, and frees each value after the last step that reads it. */
at::Tensor evaluate(std::vector<at::Tensor> values, const std::vector<Step>& steps) {
  std::vector<size_t> reads(values.size() + steps.size());
  for (const auto& step : steps) {
    for (const auto input : step.inputs) ++reads[input];
  }
  for (const auto& step : steps) {
    Inputs inputs;
    for (const auto input : step.inputs) inputs.add(values[input]);
    values.push_back(step.operation(inputs, step.options));
    for (const auto input : step.inputs) {
      if (--reads[input] == 0) values[input].reset();
    }
  }
  return values.back().contiguous();
}

Napi::Value compute(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto list = convert::array(info[0], "tensors");
    const auto device = parse_device(convert::string(info[2], "device"));
    std::vector<at::Tensor> leaves;
    for (uint32_t i = 0; i < list.Length(); ++i) {
      leaves.push_back(TensorHandle::unwrap(list.Get(i), "tensors"));
    }
    auto steps = to_steps(info[1], leaves.size());
    if (leaves.empty() && steps.empty()) {
      convert::invalid(info.Env(), "steps", "at least one step");
    }
    return run(
        info.Env(), device,
        [leaves = std::move(leaves), steps = std::move(steps)]() mutable {
          return evaluate(std::move(leaves), steps);
        },
        [](Napi::Env env, const at::Tensor& result) { return TensorHandle::wrap(env, result); });
  });
}

/** Both ends of each dimension that is longer than two of them. */
at::Tensor corners(at::Tensor tensor, int64_t edge) {
  for (int64_t dim = 0; dim < tensor.dim(); ++dim) {
    const auto length = tensor.size(dim);
    if (length <= 2 * edge) continue;
    tensor = at::cat({tensor.narrow(dim, 0, edge), tensor.narrow(dim, length - edge, edge)}, dim);
  }
  return tensor;
}

Napi::Value peek(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto tensor = TensorHandle::unwrap(info[0], "tensor");
    const auto edge = convert::count(info[1], "edge", 1);
    // The host would have to wait for another device.
    if (!tensor.device().is_cpu()) return info.Env().Null();
    const bool whole = tensor.scalar_type() == at::kLong;
    const auto values =
        corners(tensor.detach(), edge).to(whole ? at::kLong : at::kDouble).contiguous();
    auto buffer = Napi::ArrayBuffer::New(info.Env(), values.nbytes());
    if (values.nbytes() > 0) std::memcpy(buffer.Data(), values.data_ptr(), values.nbytes());
    return buffer;
  });
}

}  // namespace

void define_operation_functions(Napi::Env env, Napi::Object exports) {
  exports.Set("compute", Napi::Function::New(env, compute, "compute"));
  exports.Set("peek", Napi::Function::New(env, peek, "peek"));
}

}  // namespace mactok
