#include "testing/kernels.h"

#include <c10/core/CPUAllocator.h>

#include <chrono>
#include <functional>
#include <map>
#include <mutex>

#include "bindings/convert.h"
#include "bindings/promise.h"
#include "bindings/tensor.h"
#include "kernels/attention.h"
#include "kernels/chunks.h"
#include "kernels/gelu.h"
#include "kernels/layer_norm.h"
#include "kernels/linear.h"
#include "kernels/residual.h"
#include "kernels/unit_distance.h"
#include "runtime/autocast.h"
#include "runtime/gradients.h"

namespace mactok {
namespace {

using Tensors = std::vector<at::Tensor>;
using Function = std::function<at::Tensor(const Tensors&)>;

/** A kernel, and the LibTorch operations that it replaces. */
struct Kernel {
  Function fused, reference;
};

/** Casts to the dtype of matrix products. */
at::Tensor factor(const at::Tensor& x) { return x.to(kernels::product_type()); }

Function gelu(bool tanh) {
  return [tanh](const Tensors& x) { return kernels::gelu(factor(x[0]).clone(), tanh); };
}

constexpr int64_t kHeads = 2;

/** q [B, K, D], kv [B, T, 2D]. */
at::Tensor attend(const at::Tensor& q, const at::Tensor& kv) {
  const auto heads = [](const at::Tensor& x) {
    return x.unflatten(-1, {kHeads, -1}).transpose(1, 2);
  };
  const auto parts = kv.chunk(2, -1);
  return at::scaled_dot_product_attention(heads(q), heads(parts[0]), heads(parts[1]))
      .transpose(1, 2)
      .flatten(2);
}

at::Tensor attend(const at::Tensor& qkv) {
  const int64_t width = qkv.size(2) / 3;
  return attend(qkv.narrow(2, 0, width), qkv.narrow(2, width, 2 * width));
}

/** The features [B, h, w, C] shifted by one channel: what they are compared with. */
at::Tensor neighbours(const at::Tensor& x) { return x.detach().roll(1, 3); }

at::Tensor channel_weights(const at::Tensor& x) {
  return at::linspace(.5, 1.5, x.size(3), at::kFloat);
}

Kernel residual() {
  return {[](const Tensors& x) { return kernels::residual(x[0], factor(x[1]), x[2]); },
          [](const Tensors& x) { return x[0] + x[1] * x[2]; }};
}

const std::map<std::string, Kernel>& table() {
  static const std::map<std::string, Kernel> kernels{
      {"layerNorm",
       {[](const Tensors& x) { return kernels::layer_norm(x[0], x[1], x[2], 1e-6); },
        [](const Tensors& x) { return at::layer_norm(x[0], x[1].sizes(), x[1], x[2], 1e-6); }}},
      {"attention",
       {[](const Tensors& x) { return kernels::attention(factor(x[0]), kHeads); },
        [](const Tensors& x) { return attend(x[0]); }}},
      {"prunedAttention",
       {[](const Tensors& x) { return kernels::attention(factor(x[0]), factor(x[1]), kHeads); },
        [](const Tensors& x) { return attend(x[0], x[1]); }}},
      {"linear",
       {[](const Tensors& x) { return kernels::linear(x[0], x[1], x[2]); },
        [](const Tensors& x) { return at::linear(x[0], x[1], x[2]); }}},
      {"unitDistance",
       {[](const Tensors& x) {
          const auto found = factor(x[0]).permute({0, 3, 1, 2});
          return kernels::unit_distance(found, factor(neighbours(x[0])).permute({0, 3, 1, 2}),
                                        channel_weights(x[0]), 1e-10);
        },
        [](const Tensors& x) {
          const auto unit = [](const at::Tensor& of) {
            return of / (at::linalg_vector_norm(of, 2, {3}, true) + 1e-10);
          };
          const auto apart = unit(x[0]) - unit(neighbours(x[0]));
          return (apart.square() * channel_weights(x[0])).sum(3).flatten(1);
        }}},
      {"residual", residual()},
      {"gatedResidual", residual()},
      {"modulatedNorm",
       {[](const Tensors& x) { return kernels::layer_norm(x[0], x[1], x[2], 1e-6); },
        [](const Tensors& x) {
          return at::layer_norm(x[0], {x[0].size(-1)}, {}, {}, 1e-6) * x[1] + x[2];
        }}},
      {"gelu", {gelu(false), [](const Tensors& x) { return at::gelu(x[0]); }}},
      {"geluTanh", {gelu(true), [](const Tensors& x) { return at::gelu(x[0], "tanh"); }}},
  };
  return kernels;
}

/** The output, then the gradient of each input; float64. */
Tensors compute(const Function& f, const Tensors& given, const at::Tensor& upstream,
                at::ScalarType dtype) {
  const at::AutoGradMode with_gradients(true);
  Tensors inputs;
  for (const auto& x : given)
    inputs.push_back(x.to(dtype, false, /*copy=*/true).requires_grad_(true));
  const auto output = f(inputs);
  Tensors result{output.detach()};
  const auto gradients = differentiate(output, inputs, upstream.to(output.scalar_type()));
  result.insert(result.end(), gradients.begin(), gradients.end());
  for (auto& tensor : result) tensor = tensor.to(at::kDouble);
  return result;
}

/** The first three arguments: a kernel's name, its inputs and the upstream gradient. */
struct Call {
  explicit Call(const Napi::CallbackInfo& info) {
    const auto found = table().find(convert::string(info[0], "name"));
    if (found == table().end()) convert::invalid(info.Env(), "name", "a kernel's name");
    kernel = found->second;
    const auto list = convert::array(info[1], "inputs");
    for (uint32_t i = 0; i < list.Length(); ++i) {
      inputs.push_back(TensorHandle::unwrap(list.Get(i), "inputs"));
    }
    upstream = TensorHandle::unwrap(info[2], "upstream");
  }

  /** Copies of the inputs' handles that collect gradients. */
  Tensors leaves() const {
    Tensors result;
    for (const auto& x : inputs) result.push_back(x.detach().requires_grad_(true));
    return result;
  }

  Kernel kernel;
  Tensors inputs;
  at::Tensor upstream;
};

Napi::Value run_kernel(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const Call call(info);
    std::optional<Precision> precision;
    if (!info[3].IsNull()) precision = convert::precision(info[3], "precision");
    return run(
        info.Env(), call.upstream.device(),
        [=] {
          if (!precision) {
            return compute(call.kernel.reference, call.inputs, call.upstream, at::kDouble);
          }
          const Autocast autocast(at::kCPU, *precision);
          return compute(call.kernel.fused, call.inputs, call.upstream, at::kFloat);
        },
        [](Napi::Env env, const Tensors& tensors) {
          auto result = Napi::Array::New(env, tensors.size());
          for (uint32_t i = 0; i < tensors.size(); ++i) {
            result.Set(i, TensorHandle::wrap(env, tensors[i]));
          }
          return result;
        });
  });
}

/** Counts the bytes of the CPU's tensors that were allocated while it exists. */
class CountingAllocator final : public c10::Allocator {
 public:
  CountingAllocator() : inner_(c10::GetCPUAllocator()) { c10::SetCPUAllocator(this, kPriority); }
  ~CountingAllocator() override { c10::SetCPUAllocator(inner_, kPriority); }
  CountingAllocator(const CountingAllocator&) = delete;
  CountingAllocator& operator=(const CountingAllocator&) = delete;

  int64_t live() const {
    const std::lock_guard lock(blocks().mutex);
    int64_t sum = 0;
    for (const auto& [data, block] : blocks().by_address) sum += block.bytes;
    return sum;
  }

  c10::DataPtr allocate(size_t bytes) override {
    auto inner = inner_->allocate(bytes);
    auto* data = inner.get();
    if (!data) return inner;
    const std::lock_guard lock(blocks().mutex);
    blocks().by_address[data] = {std::move(inner), static_cast<int64_t>(bytes)};
    return {data, data, &release, c10::Device(c10::kCPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &release; }
  void copy_data(void* to, const void* from, size_t bytes) const override {
    default_copy_data(to, from, bytes);
  }

 private:
  struct Block {
    c10::DataPtr inner;
    int64_t bytes;
  };
  struct Blocks {
    std::mutex mutex;
    std::map<void*, Block> by_address;
  };
  /** At least that of the allocator in use, which it replaces. */
  static constexpr uint8_t kPriority = 255;

  /** Never deleted, because tensors may outlive the allocator. */
  static Blocks& blocks() {
    static auto& blocks = *new Blocks();
    return blocks;
  }

  static void release(void* data) {
    const std::lock_guard lock(blocks().mutex);
    blocks().by_address.erase(data);
  }

  c10::Allocator* inner_;
};

/** Bytes beside the output's that a kernel keeps after its backward pass, while the output lives. */
Napi::Value kept_by_kernel(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const Call call(info);
    const auto precision = convert::precision(info[3], "precision");
    return run(
        info.Env(), call.upstream.device(),
        [=] {
          const at::AutoGradMode with_gradients(true);
          const Autocast autocast(at::kCPU, precision);
          const auto inputs = call.leaves();
          const CountingAllocator memory;
          const auto before = memory.live();
          const auto output = call.kernel.fused(inputs);
          differentiate(output, inputs, call.upstream.to(output.scalar_type()));
          return memory.live() - before - static_cast<int64_t>(output.storage().nbytes());
        },
        [](Napi::Env env, int64_t bytes) -> Napi::Value {
          return Napi::Number::New(env, static_cast<double>(bytes));
        });
  });
}

/** Mean seconds of a forward and backward pass over `count` of them. */
Napi::Value time_kernel(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const Call call(info);
    const auto precision = convert::precision(info[3], "precision");
    const auto count = convert::count(info[4], "count", 1);
    return run(
        info.Env(), call.upstream.device(),
        [=] {
          const at::AutoGradMode with_gradients(true);
          const Autocast autocast(at::kCPU, precision);
          const auto inputs = call.leaves();
          const auto start = std::chrono::steady_clock::now();
          for (int64_t i = 0; i < count; ++i) {
            differentiate(call.kernel.fused(inputs), inputs, call.upstream);
          }
          const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
          return taken.count() / static_cast<double>(count);
        },
        [](Napi::Env env, double seconds) -> Napi::Value {
          return Napi::Number::New(env, seconds);
        });
  });
}

}  // namespace

void define_kernel_functions(Napi::Env env, Napi::Object exports) {
  exports.Set("runKernel", Napi::Function::New(env, run_kernel, "runKernel"));
  exports.Set("keptByKernel", Napi::Function::New(env, kept_by_kernel, "keptByKernel"));
  exports.Set("timeKernel", Napi::Function::New(env, time_kernel, "timeKernel"));
}

}  // namespace mactok
