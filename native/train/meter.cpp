#include "train/meter.h"

#include <algorithm>
#include <sstream>

#include "runtime/float64.h"

namespace mactok {
namespace {

std::vector<std::string> split_lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

/** The weights [metrics, 1], written on the device: a copy from the host could not be recorded. */
at::Tensor weight_column(const std::vector<double>& weights, const at::TensorOptions& options) {
  std::vector<at::Tensor> parts;
  for (size_t begin = 0, end = 0; begin < weights.size(); begin = end) {
    while (end < weights.size() && weights[end] == weights[begin]) ++end;
    parts.push_back(at::full({static_cast<int64_t>(end - begin), 1}, weights[begin], options));
  }
  return parts.size() == 1 ? parts[0] : at::cat(parts);
}

/** Rows of `names` in the order of `wanted`, zeros for those that are missing. */
at::Tensor arrange(const at::Tensor& rows, const std::vector<std::string>& names,
                   const std::vector<std::string>& wanted) {
  std::vector<at::Tensor> parts;
  for (const auto& name : wanted) {
    const auto at = std::find(names.begin(), names.end(), name) - names.begin();
    parts.push_back(at < rows.size(0) ? rows.narrow(0, at, 1) : at::zeros({1, 3}, rows.options()));
  }
  return at::cat(parts);
}

}  // namespace

void Meter::add(const std::string& name, const at::Tensor& value, double weight) {
  auto batch = batches_.begin();
  const auto has_it = [&name](const Batch& batch) {
    return std::find(batch.names.begin(), batch.names.end(), name) != batch.names.end();
  };
  while (batch != batches_.end() && has_it(*batch)) ++batch;
  if (batch == batches_.end()) batch = batches_.insert(batch, Batch());
  batch->names.push_back(name);
  batch->values.push_back(value.detach().view({1, 1}));
  batch->weights.push_back(weight);
}

void Meter::count(const std::string& name, const at::Tensor& value) { add("#" + name, value); }

Outputs Meter::outputs() const {
  at::Tensor sums;
  for (const auto& batch : batches_) {
    const auto values = to_widest_float(at::cat(batch.values));  // [metrics, 1]
    const auto weights = weight_column(batch.weights, values.options());
    const auto finite = values.isfinite();
    const auto known = finite.to(values.scalar_type());
    const auto rows = at::cat(
        {(values * weights).masked_fill_(finite.logical_not(), 0.0), known * weights, 1 - known},
        1);
    if (!sums.defined()) {
      sums = rows;
      continue;
    }
    TORCH_CHECK(std::equal(batch.names.begin(), batch.names.end(), batches_[0].names.begin()),
                "metrics: expected the same ones of every micro-batch");
    sums.narrow(0, 0, rows.size(0)).add_(rows);
  }
  std::string names;
  for (const auto& name : batches_.at(0).names) names += name + '\n';
  return {{names, sums}};
}

void MetricTotals::add_step(const Outputs& step) {
  for (const auto& [key, rows] : step) {
    const auto names = split_lines(key);
    if (!sums_.defined()) {
      names_ = names;
      sums_ = rows;
    } else if (names == names_) {
      sums_ = sums_ + rows;
    } else {
      auto all = names_;
      for (const auto& name : names) {
        if (std::find(all.begin(), all.end(), name) == all.end()) all.push_back(name);
      }
      sums_ = arrange(sums_, names_, all) + arrange(rows, names, all);
      names_ = all;
    }
  }
  ++steps_;
}

std::map<std::string, double> MetricTotals::read(ProcessGroup* group) {
  std::map<std::string, double> result{{"steps", static_cast<double>(steps_)}};
  if (group && sums_.defined()) {
    const auto counts = sums_.clone();
    group->max(counts);
    group->sum(sums_);
    for (size_t i = 0; i < names_.size(); ++i) {
      const auto row = static_cast<int64_t>(i);
      if (names_[i].starts_with('#')) sums_[row].copy_(counts[row]);
      sums_[row][2].copy_(counts[row][2]);
    }
  }
  const auto sums = sums_.defined() ? sums_.cpu().to(at::kDouble) : at::empty({0, 3}, at::kDouble);
  const auto rows = sums.accessor<double, 2>();
  for (size_t i = 0; i < names_.size(); ++i) {
    const auto& name = names_[i];
    const auto row = rows[static_cast<int64_t>(i)];
    if (name.starts_with('#')) {
      result[name.substr(1)] = row[0];
      continue;
    }
    result[name] = row[0] / row[1];
    if (row[2] > 0) result["nonFinite." + name] = row[2];
  }
  names_.clear();
  sums_.reset();
  steps_ = 0;
  return result;
}

}  // namespace mactok
