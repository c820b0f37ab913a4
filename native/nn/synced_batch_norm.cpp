#include "nn/synced_batch_norm.h"

#include <utility>

namespace mactok {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/** Rows [i] and [count + i] of a float64 [2·count, C], as float32. */
std::pair<at::Tensor, at::Tensor> select_pair(const at::Tensor& rows, size_t i, size_t count) {
  const auto row = [&](size_t index) {
    return rows.select(0, static_cast<int64_t>(index)).to(at::kFloat);
  };
  return {row(i), row(count + i)};
}

/**
 * Inputs and outputs are float32 [M, C]. With x̂ = (x − mean)·r, r = 1/√(var + ε), over all ranks'
 * rows, the gradient is w·r·(dy − mean(dy) − x̂·mean(dy·x̂)).
 */
struct SyncedBatchNorm : torch::autograd::Function<SyncedBatchNorm> {
  static variable_list forward(AutogradContext* context, at::TensorList xs, at::TensorList weights,
                               at::TensorList biases, at::Tensor* statistics, ProcessGroup* group,
                               double eps) {
    const size_t count = xs.size();
    // Means, then means of squares, in float64: their sums lose nothing.
    variable_list means, squares;
    for (const auto& x : xs) {
      const auto [variance, mean] = at::var_mean(x, at::IntArrayRef{0}, /*unbiased=*/false);
      means.push_back(mean.to(at::kDouble));
      squares.push_back(variance.to(at::kDouble) + means.back().square());
    }
    means.insert(means.end(), squares.begin(), squares.end());
    auto rows = at::stack(means);  // [2·count, C]
    group->sum(rows);
    rows.div_(group->size());
    const auto half = static_cast<int64_t>(count);
    rows.narrow(0, half, half).sub_(rows.narrow(0, 0, half).square()).clamp_min_(0);
    *statistics = rows;

    variable_list outputs, saved;
    for (size_t i = 0; i < count; ++i) {
      const auto [mean, variance] = select_pair(rows, i, count);
      outputs.push_back(std::get<0>(at::native_batch_norm(xs[i], weights[i], biases[i], mean,
                                                          variance, /*training=*/false,
                                                          /*momentum=*/0, eps)));
      saved.insert(saved.end(), {xs[i], weights[i], mean, (variance + eps).rsqrt()});
    }
    context->save_for_backward(std::move(saved));
    context->saved_data["group"] = reinterpret_cast<int64_t>(group);
    return outputs;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    auto& group = *reinterpret_cast<ProcessGroup*>(context->saved_data["group"].toInt());
    const size_t count = gradients.size();
    variable_list normalized, sums, products;
    for (size_t i = 0; i < count; ++i) {
      const auto &x = saved[4 * i], &mean = saved[4 * i + 2], &scale = saved[4 * i + 3];
      normalized.push_back((x - mean).mul_(scale));
      sums.push_back(gradients[i].sum(0));
      products.push_back((gradients[i] * normalized[i]).sum(0));
    }
    // Those of weights and biases are this rank's own: they are added up with all gradients.
    variable_list biases = sums, weights = products;
    sums.insert(sums.end(), products.begin(), products.end());
    auto rows = at::stack(sums).to(at::kDouble);  // [2·count, C]
    group.sum(rows);
    rows.div_(static_cast<double>(saved[0].size(0)) * group.size());
    variable_list result;
    for (size_t i = 0; i < count; ++i) {
      const auto [mean, product] = select_pair(rows, i, count);
      const auto scale = saved[4 * i + 1] * saved[4 * i + 3];
      result.push_back((gradients[i] - mean - normalized[i] * product).mul_(scale));
    }
    result.insert(result.end(), weights.begin(), weights.end());
    result.insert(result.end(), biases.begin(), biases.end());
    result.resize(result.size() + 3);
    return result;
  }
};

}  // namespace

std::vector<at::Tensor> synced_batch_norm(const std::vector<std::shared_ptr<BatchNorm>>& norms,
                                          const std::vector<at::Tensor>& xs, ProcessGroup& group) {
  variable_list inputs, weights, biases;
  for (size_t i = 0; i < norms.size(); ++i) {
    inputs.push_back(xs[i].to(at::kFloat).flatten(0, -2).contiguous());
    weights.push_back(norms[i]->weight);
    biases.push_back(norms[i]->bias);
  }
  at::Tensor statistics;
  auto outputs =
      SyncedBatchNorm::apply(at::TensorList(inputs), at::TensorList(weights),
                             at::TensorList(biases), &statistics, &group, norms[0]->eps());
  for (size_t i = 0; i < norms.size(); ++i) {
    const auto [mean, variance] = select_pair(statistics, i, norms.size());
    const auto rows = static_cast<double>(inputs[i].size(0)) * group.size();
    norms[i]->update_running(mean, variance * (rows / (rows - 1)));
    outputs[i] = outputs[i].view(xs[i].sizes());
  }
  return outputs;
}

}  // namespace mactok
