#include "bindings/random.h"

#include <cstring>

#include "bindings/convert.h"
#include "bindings/promise.h"
#include "runtime/random.h"

namespace mactok {
namespace {

using Draw = at::Tensor (*)(uint64_t, std::string_view, uint64_t, uint64_t, int64_t, int64_t);

template <Draw draw>
Napi::Value draw_numbers(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto stream = convert::string(info[1], "stream");
    const auto rows = convert::count(info[4], "rows", 0);
    const auto columns = convert::count(info[5], "columns", 0);
    const auto values =
        draw(convert::index(info[0], "seed"), stream, convert::index(info[2], "step"),
             convert::index(info[3], "firstIndex"), rows, columns);
    auto result = Napi::Float32Array::New(info.Env(), values.numel());
    if (values.numel() > 0) std::memcpy(result.Data(), values.data_ptr(), values.nbytes());
    return result;
  });
}

}  // namespace

void define_random_functions(Napi::Env env, Napi::Object exports) {
  exports.Set("uniform", Napi::Function::New(env, draw_numbers<random::uniform>, "uniform"));
  exports.Set("normal", Napi::Function::New(env, draw_numbers<random::normal>, "normal"));
}

}  // namespace mactok
