#include <array>

#include "bindings/metrics.h"

#include "bindings/tensor.h"
#include "metrics/kernel_distance.h"
#include "metrics/mutual_information.h"
#include "metrics/neighbours.h"
#include "metrics/principal.h"
#include "metrics/structure.h"
#include "runtime/device.h"
#include "runtime/float64.h"

namespace mactok {
namespace {

Napi::Value to_handle(Napi::Env env, const at::Tensor& tensor) {
  return TensorHandle::wrap(env, tensor);
}

/** A tensor argument with the given number of dimensions. */
at::Tensor tensor_of(const Napi::Value& value, const std::string& name, int64_t dimensions) {
  const auto tensor = TensorHandle::unwrap(value, name);
  if (tensor.dim() != dimensions) {
    convert::invalid(value.Env(), name,
                     "a tensor of " + std::to_string(dimensions) + " dimensions");
  }
  return tensor;
}

Napi::Value create(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto width = convert::count(info[0], "width", 1);
    const auto device = parse_device(convert::string(info[1], "device"));
    return run(
        info.Env(), device,
        [=] {
          auto moments = std::make_shared<Moments>(width);
          if (has_float64(device)) moments->to(device);
          return moments;
        },
        [](Napi::Env env, const std::shared_ptr<Moments>& moments) {
          return MomentsHandle::wrap(env, moments);
        });
  });
}

Napi::Value structure(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto a = tensor_of(info[0], "a", 4);
    const auto b = tensor_of(info[1], "b", 4);
    if (a.sizes() != b.sizes() || a.size(1) < 11 || a.size(2) < 11 || a.size(3) != 3) {
      convert::invalid(info.Env(), "a and b", "images [B, H, W, 3] of at least 11 × 11 pixels");
    }
    return run(info.Env(), a.device(), [=] { return structural_similarity(a, b); }, to_handle);
  });
}

Napi::Value frechet(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto mean_a = tensor_of(info[0], "mean", 1);
    const auto covariance_a = tensor_of(info[1], "covariance", 2);
    const auto mean_b = tensor_of(info[2], "mean", 1);
    const auto covariance_b = tensor_of(info[3], "covariance", 2);
    const auto width = mean_a.size(0);
    const std::array<int64_t, 2> sides{width, width};
    const at::IntArrayRef square(sides);
    if (mean_b.size(0) != width || covariance_a.sizes() != at::IntArrayRef(square) ||
        covariance_b.sizes() != at::IntArrayRef(square)) {
      convert::invalid(info.Env(), "statistics", "means [D] and covariances [D, D] of one width");
    }
    return run(
        info.Env(), mean_a.device(),
        [=] { return frechet_distance(mean_a, covariance_a, mean_b, covariance_b); },
        [](Napi::Env env, double distance) { return Napi::Number::New(env, distance); });
  });
}

Napi::Value radii(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto rows = tensor_of(info[0], "rows", 2);
    const auto all = tensor_of(info[1], "all", 2);
    const auto k = convert::count(info[2], "k", 1);
    if (k >= all.size(0)) convert::invalid(info.Env(), "k", "fewer neighbours than rows");
    return run(info.Env(), rows.device(), [=] { return neighbour_radii(rows, all, k); }, to_handle);
  });
}

Napi::Value inside(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto rows = tensor_of(info[0], "rows", 2);
    const auto all = tensor_of(info[1], "all", 2);
    const auto radii = tensor_of(info[2], "radii", 1);
    return run(info.Env(), rows.device(), [=] { return in_manifold(rows, all, radii); }, to_handle);
  });
}

Napi::Value kernel(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto a = tensor_of(info[0], "a", 2);
    const auto b = tensor_of(info[1], "b", 2);
    const auto rows_a = tensor_of(info[2], "rowsA", 1);
    const auto rows_b = tensor_of(info[3], "rowsB", 1);
    if (a.size(1) != b.size(1) || rows_a.size(0) < 2 || rows_b.size(0) < 2) {
      convert::invalid(info.Env(), "rows", "two or more of [M, D] and of [N, D]");
    }
    return run(
        info.Env(), a.device(),
        [=] {
          const auto chosen = [](const at::Tensor& all, const at::Tensor& rows) {
            return all.index_select(0, rows.to(all.device()));
          };
          return kernel_distance(chosen(a, rows_a), chosen(b, rows_b));
        },
        [](Napi::Env env, double distance) { return Napi::Number::New(env, distance); });
  });
}

Napi::Value information(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto means = tensor_of(info[0], "means", 3);
    const auto logvars = tensor_of(info[1], "logvars", 3);
    const auto samples = tensor_of(info[2], "samples", 3);
    if (logvars.sizes() != means.sizes() || samples.sizes() != means.sizes() ||
        means.numel() == 0) {
      convert::invalid(info.Env(), "means, logvars and samples", "tensors [N, L, Z] of one shape");
    }
    return run(
        info.Env(), means.device(), [=] { return mutual_information(means, logvars, samples); },
        [](Napi::Env env, const MutualInformation& found) -> Napi::Value {
          auto result = Napi::Object::New(env);
          result.Set("total", Napi::Number::New(env, found.total));
          result.Set("tokens", TensorHandle::wrap(env, found.tokens));
          return result;
        });
  });
}

Napi::Value principal(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto x = tensor_of(info[0], "points", 3);
    const auto count = convert::count(info[1], "count", 1);
    if (count > x.size(2)) convert::invalid(info.Env(), "count", "at most the points' dimensions");
    return run(
        info.Env(), x.device(), [=] { return principal_components(x, count); },
        [](Napi::Env env, const PrincipalComponents& found) -> Napi::Value {
          auto result = Napi::Object::New(env);
          result.Set("mean", TensorHandle::wrap(env, found.mean));
          result.Set("axes", TensorHandle::wrap(env, found.axes));
          result.Set("deviations", TensorHandle::wrap(env, found.deviations));
          result.Set("scores", TensorHandle::wrap(env, found.scores));
          return result;
        });
  });
}

}  // namespace

void MomentsHandle::define(Napi::Env env, Napi::Object exports) {
  define_class(env, {
                        InstanceMethod<&MomentsHandle::add>("add"),
                        InstanceMethod<&MomentsHandle::merge>("merge"),
                        InstanceMethod<&MomentsHandle::covariance>("covariance"),
                    });
  exports.Set("createMoments", Napi::Function::New(env, create, "createMoments"));
}

Napi::Value MomentsHandle::add(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto moments = alive(info.Env());
    const auto rows = tensor_of(info[0], "rows", 2);
    if (rows.size(0) == 0 || rows.size(1) != moments->mean.size(0)) {
      convert::invalid(info.Env(), "rows", "[B, " + std::to_string(moments->mean.size(0)) + "]");
    }
    return run(info.Env(), module_device(*moments), [=] { moments->add(rows); }, to_undefined);
  });
}

Napi::Value MomentsHandle::merge(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto moments = alive(info.Env());
    const auto other = unwrap(info[0], "other");
    if (other->mean.sizes() != moments->mean.sizes()) {
      convert::invalid(info.Env(), "other", "moments of the same width");
    }
    return run(
        info.Env(), module_device(*moments),
        [=] { moments->merge(other->count, other->mean, other->scatter); }, to_undefined);
  });
}

Napi::Value MomentsHandle::covariance(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto moments = alive(info.Env());
    return run(
        info.Env(), module_device(*moments), [=] { return moments->covariance(); }, to_handle);
  });
}

void define_metric_functions(Napi::Env env, Napi::Object exports) {
  exports.Set("structuralSimilarity", Napi::Function::New(env, structure, "structuralSimilarity"));
  exports.Set("frechetDistance", Napi::Function::New(env, frechet, "frechetDistance"));
  exports.Set("neighbourRadii", Napi::Function::New(env, radii, "neighbourRadii"));
  exports.Set("inManifold", Napi::Function::New(env, inside, "inManifold"));
  exports.Set("kernelDistance", Napi::Function::New(env, kernel, "kernelDistance"));
  exports.Set("mutualInformation", Napi::Function::New(env, information, "mutualInformation"));
  exports.Set("principalComponents", Napi::Function::New(env, principal, "principalComponents"));
}

}  // namespace mactok
