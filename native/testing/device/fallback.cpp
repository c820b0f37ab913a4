// Every operation that no other file defines: it runs by the CPU's kernel on the memory of
// operations, with the checks that a GPU makes, and some that it does not.

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_strided.h>
#include <c10/core/DeviceGuard.h>
#include <torch/library.h>

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "testing/device/counters.h"
#include "testing/device/faults.h"
#include "testing/device/recorder.h"
#include "testing/device/work.h"

namespace mactok::stand_in {
namespace {

using c10::IValue;
using torch::jit::Stack;

/** On a GPU the host waits for these, because it needs a value or the result's shape. */
const std::set<std::string> kBlocking{"aten::_local_scalar_dense",
                                      "aten::nonzero",
                                      "aten::masked_select",
                                      "aten::_unique2",
                                      "aten::unique_dim",
                                      "aten::unique_consecutive",
                                      "aten::bincount",
                                      "aten::equal",
                                      "aten::repeat_interleave.Tensor"};

/** They accept indices on the host, which they upload. */
const std::set<std::string> kIndexing{"aten::index.Tensor", "aten::index_put_",
                                      "aten::_index_put_impl_"};

/** The running statistics of a batch normalisation, which its schema does not call written. */
bool writes_undeclared(const std::string& name, const std::string& argument) {
  return name.starts_with("aten::native_batch_norm") && argument.starts_with("running_");
}

std::string full_name(const c10::OperatorName& name) {
  return name.overload_name.empty() ? name.name : name.name + "." + name.overload_name;
}

/** A tensor with the memory of `base`, described as `view`, which shares memory with it on the host. */
at::Tensor view_of(const at::Tensor& base, const at::Tensor& host_base, const at::Tensor& view) {
  auto impl = c10::make_intrusive<c10::TensorImpl>(
      c10::TensorImpl::VIEW, c10::Storage(base.storage()), base.key_set(), view.dtype());
  int64_t offset = base.storage_offset() * static_cast<int64_t>(base.element_size());
  if (view.numel() > 0) {
    offset += static_cast<const char*>(view.const_data_ptr()) -
              static_cast<const char*>(host_base.const_data_ptr());
  }
  impl->set_sizes_and_strides(view.sizes(), view.strides(),
                              offset / static_cast<int64_t>(view.element_size()));
  return at::Tensor(std::move(impl));
}

/** Whether an operation's results only describe memory of its arguments. */
bool is_view(const c10::FunctionSchema& schema) {
  const auto shares = [](const c10::Argument& result) {
    return result.alias_info() && !result.alias_info()->isWrite();
  };
  return !schema.returns().empty() &&
         std::all_of(schema.returns().begin(), schema.returns().end(), shares);
}

/** One call of an operation on the device. */
class DeviceCall {
 public:
  DeviceCall(const c10::OperatorHandle& operation, const Stack& stack);

  /** Replaces the arguments by the results. */
  void run(Stack& stack);

 private:
  const c10::Argument& parameter(size_t i) const { return operation_.schema().arguments()[i]; }
  bool writes(size_t i) const {
    const auto* alias = parameter(i).alias_info();
    return (alias && alias->isWrite()) || writes_undeclared(name_, parameter(i).name());
  }
  /** Whether the operation may give the argument another shape. */
  bool is_out(size_t i) const;
  /** The argument whose memory a result shares. */
  size_t find_base(const c10::AliasInfo& result) const;

  IValue convert(const IValue& argument, bool writes);
  at::Tensor convert(const at::Tensor& tensor, bool writes);
  void check_devices();
  void write_outs();
  /** A result of the CPU's kernel as the device returns it. */
  IValue to_device(size_t index, const IValue& value);
  at::Tensor to_device(size_t index, std::optional<size_t> item, const at::Tensor& host);

  const c10::OperatorHandle& operation_;
  std::string name_;
  bool blocks_;
  std::vector<IValue> given_;
  /** As the CPU's kernel takes them. */
  std::vector<IValue> arguments_;
  /** Tensors on the device, and whether the operation writes them. */
  std::vector<std::pair<at::Tensor, bool>> tensors_;
  std::vector<RecordedCall::Result> results_;
  std::vector<std::pair<at::Tensor, at::Tensor>> outs_;
  /** None for a view. */
  std::optional<Work> work_;
  /** Of the tensors, and of an argument. */
  std::optional<c10::Device> device_, requested_;
  /** A tensor on the host that is no scalar. */
  at::Tensor stranger_;
};

DeviceCall::DeviceCall(const c10::OperatorHandle& operation, const Stack& stack)
    : operation_(operation),
      name_(full_name(operation.operator_name())),
      blocks_(kBlocking.contains(name_)) {
  const auto count = static_cast<std::ptrdiff_t>(operation.schema().arguments().size());
  given_.assign(stack.end() - count, stack.end());
  for (size_t i = 0; i < given_.size(); ++i) {
    arguments_.push_back(convert(given_[i], writes(i)));
    if (!is_out(i)) continue;
    arguments_[i] = at::empty({0}, at::TensorOptions().dtype(given_[i].toTensor().dtype()));
  }
  check_devices();
}

bool DeviceCall::is_out(size_t i) const {
  return writes(i) && parameter(i).kwarg_only() && given_[i].isTensor() &&
         given_[i].toTensor().defined() && given_[i].toTensor().is_cuda();
}

size_t DeviceCall::find_base(const c10::AliasInfo& result) const {
  for (size_t i = 0; i < given_.size(); ++i) {
    const auto* alias = parameter(i).alias_info();
    if (alias && !alias->beforeSets().empty() && alias->beforeSets() == result.beforeSets()) {
      return i;
    }
  }
  TORCH_CHECK(false, "The stand-in device cannot tell what a result of ", name_, " shares");
}

at::Tensor DeviceCall::convert(const at::Tensor& tensor, bool writes) {
  if (!tensor.defined()) return tensor;
  if (!tensor.is_cuda()) {
    // A scalar of the host is passed to the kernel by value.
    if (tensor.dim() > 0 || writes) stranger_ = tensor;
    return tensor;
  }
  if (device_ && *device_ != tensor.device()) {
    report_fault("Expected all tensors to be on the same device, but found " + device_->str() +
                 " and " + tensor.device().str() + ": " + name_);
  }
  device_ = tensor.device();
  tensors_.emplace_back(tensor, writes);
  return on_host(tensor);
}

IValue DeviceCall::convert(const IValue& argument, bool writes) {
  if (argument.isTensor()) return convert(argument.toTensor(), writes);
  if (argument.isTensorList()) {
    std::vector<at::Tensor> list;
    for (const at::Tensor& tensor : argument.toTensorVector()) {
      list.push_back(convert(tensor, writes));
    }
    return list;
  }
  if (argument.isOptionalTensorList()) {
    c10::List<std::optional<at::Tensor>> list;
    for (const auto& tensor : argument.toOptionalTensorVector()) {
      // A mask is turned into indices, whose number the host has to know.
      if (tensor && tensor->defined() && tensor->scalar_type() == at::kBool) blocks_ = true;
      list.push_back(tensor ? std::optional(convert(*tensor, writes)) : std::nullopt);
    }
    return list;
  }
  if (argument.isDevice()) {
    requested_ = argument.toDevice();
    return c10::Device(at::kCPU);
  }
  return argument;
}

void DeviceCall::check_devices() {
  if (device_ && stranger_.defined()) {
    if (!kIndexing.contains(name_)) {
      report_fault(c10::str("Expected all tensors to be on the same device, but found ",
                            device_->str(), " and cpu: ", name_, " with ", stranger_.sizes()));
    }
    synchronize_stream(current_stream(device_->index()), name_ + " with indices on the host");
  }
  if (!device_) device_ = requested_;
  if (!device_ || !device_->has_index()) {
    device_ = c10::Device(at::kCUDA, static_cast<c10::DeviceIndex>(current_device()));
  }
}

void DeviceCall::run(Stack& stack) {
  const c10::DeviceGuard guard(*device_);
  const size_t stream = current_stream(device_->index());
  if (blocks_) refuse_in_recording(stream, name_);
  if (!is_view(operation_.schema())) {
    count_operation(name_);
    work_.emplace(stream, name_);
    for (const auto& [tensor, writes] : tensors_) work_->use(tensor, writes);
  }

  Stack results(arguments_.begin(), arguments_.end());
  operation_.redispatchBoxed(c10::DispatchKeySet(c10::DispatchKey::CPU), &results);
  write_outs();
  torch::jit::drop(stack, given_.size());
  for (size_t i = 0; i < results.size(); ++i) stack.push_back(to_device(i, results[i]));

  auto* recorder = recorder_of(stream);
  if (recorder && work_) {
    recorder->add({name_, operation_, arguments_, results_, outs_, work_->uses()});
  }
  if (blocks_) synchronize_stream(stream, name_);
}

void DeviceCall::write_outs() {
  for (size_t i = 0; i < given_.size(); ++i) {
    if (!is_out(i)) continue;
    const auto& out = given_[i].toTensor();
    const auto written = arguments_[i].toTensor();
    if (out.sizes() != written.sizes()) {
      const auto fresh = at::empty_strided(written.sizes(), written.strides(), out.options());
      out.unsafeGetTensorImpl()->set_storage_keep_dtype(fresh.storage());
      out.unsafeGetTensorImpl()->set_sizes_and_strides(fresh.sizes(), fresh.strides());
      work_->use(out, /*writes=*/true);
    }
    on_host(out).copy_(written);
    outs_.emplace_back(on_host(out), written);
  }
}

IValue DeviceCall::to_device(size_t index, const IValue& value) {
  const auto* alias = operation_.schema().returns()[index].alias_info();
  if (value.isTensor() && value.toTensor().defined() && alias) {
    const size_t base = find_base(*alias);
    if (alias->isWrite()) return given_[base];
    return view_of(given_[base].toTensor(), arguments_[base].toTensor(), value.toTensor());
  }
  if (value.isTensor()) return to_device(index, std::nullopt, value.toTensor());
  if (!value.isTensorList()) return value;
  TORCH_CHECK(!alias, "The stand-in device has no lists of views: ", name_);
  std::vector<at::Tensor> list;
  const auto host = value.toTensorVector();
  for (size_t i = 0; i < host.size(); ++i) list.push_back(to_device(index, i, host[i]));
  return list;
}

at::Tensor DeviceCall::to_device(size_t index, std::optional<size_t> item, const at::Tensor& host) {
  if (!host.defined()) return host;
  const auto result =
      at::empty_strided(host.sizes(), host.strides(), host.options().device(*device_));
  if (host.numel() == 0) return result;
  if (work_) work_->use(result, /*writes=*/true);
  on_host(result).copy_(host);
  results_.push_back({index, item, on_host(result)});
  return result;
}

void run_fallback(const c10::OperatorHandle& operation, Stack* stack) {
  DeviceCall(operation, *stack).run(*stack);
}

/** Whether tensors.cpp defines it. */
bool has_own_kernel(const c10::OperatorName& name) {
  static const std::set<std::string> own{"aten::empty.memory_format", "aten::empty_strided",
                                         "aten::as_strided",          "aten::resize_",
                                         "aten::record_stream",       "aten::copy_"};
  return own.contains(full_name(name));
}

}  // namespace

TORCH_LIBRARY_IMPL(_, CUDA, library) {
  library.fallback(torch::CppFunction::makeFromBoxedFunction<&run_fallback>());
}

/**
 * What LibTorch would else compose of other operations: a GPU has kernels for it where a CPU has,
 * and for lists of tensors.
 */
TORCH_LIBRARY_IMPL(aten, CUDA, library) {
  auto& dispatcher = c10::Dispatcher::singleton();
  for (const auto& name : dispatcher.getAllOpNames()) {
    const auto operation = dispatcher.findSchema(name);
    if (!name.name.starts_with("aten::") || !operation || has_own_kernel(name)) continue;
    const bool of_lists = name.name.starts_with("aten::_foreach_");
    if (!of_lists && !operation->hasKernelForDispatchKey(c10::DispatchKey::CPU)) continue;
    library.impl(full_name(name).c_str(),
                 torch::CppFunction::makeFromBoxedFunction<&run_fallback>());
  }
}

}  // namespace mactok::stand_in
