#include "flow/dopri5.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>

#include "runtime/float64.h"

namespace mactok {
namespace {

constexpr std::array<double, 6> kNodes{1. / 5, 3. / 10, 4. / 5, 8. / 9, 1, 1};
constexpr std::array<std::array<double, 6>, 6> kStages{{
    {1. / 5},
    {3. / 40, 9. / 40},
    {44. / 45, -56. / 15, 32. / 9},
    {19372. / 6561, -25360. / 2187, 64448. / 6561, -212. / 729},
    {9017. / 3168, -355. / 33, 46732. / 5247, 49. / 176, -5103. / 18656},
    {35. / 384, 0, 500. / 1113, 125. / 192, -2187. / 6784, 11. / 84},
}};
/** Order 5 minus order 4 (Shampine's variant, as torchdiffeq). */
constexpr std::array<double, 7> kError{35. / 384 - 1951. / 21600,
                                       0,
                                       500. / 1113 - 22642. / 50085,
                                       125. / 192 - 451. / 720,
                                       -2187. / 6784 + 12231. / 42400,
                                       11. / 84 - 649. / 6300,
                                       -1. / 60};
/** Shampine's coefficients for the middle of a step. */
constexpr std::array<double, 7> kMiddle{
    6025192743. / 30085553152 / 2,     0,
    51252292925. / 65400821598 / 2,    -2691868925. / 45128329728 / 2,
    187940372067. / 1594534317056 / 2, -1776094331. / 19743644256 / 2,
    11237099. / 235043384 / 2};

constexpr double kMinStepSize = 1e-12;

/** Σ weights[i]·slopes[i]·h over the given slopes; h broadcasts. */
template <size_t N>
at::Tensor combine(const std::array<double, N>& weights, const std::vector<at::Tensor>& slopes,
                   const at::Tensor& h) {
  auto sum = at::zeros_like(slopes[0]);
  for (size_t i = 0; i < slopes.size() && i < N; ++i) {
    if (weights[i] != 0) sum = sum + weights[i] * slopes[i];
  }
  return h * sum;
}

/**
 * The polynomial of degree 4 through both ends of a step (with their slopes) and its middle,
 * evaluated at a fraction `part` of the step.
 */
at::Tensor interpolate(const at::Tensor& from, const at::Tensor& to, const at::Tensor& middle,
                       const at::Tensor& h_slope_from, const at::Tensor& h_slope_to, double part) {
  const auto a = 2 * (h_slope_to - h_slope_from) - 8 * (to + from) + 16 * middle;
  const auto b = 5 * h_slope_from - 3 * h_slope_to + 18 * from + 14 * to - 32 * middle;
  const auto c = h_slope_to - 4 * h_slope_from - 11 * from - 5 * to + 16 * middle;
  return from + part * (h_slope_from + part * (c + part * (b + part * a)));
}

/** The ratio of the next step size to this one. */
double growth(double error) {
  if (error == 0) return 10;
  if (!std::isfinite(error)) return .2;
  const double wanted = .9 / std::pow(error, .2);
  return std::min(10., std::max(wanted, error < 1 ? 1 : .2));
}

}  // namespace

Dopri5::Dopri5(const SamplerOptions& options, Field field, at::Tensor start)
    : Sampler(std::move(field), std::move(start)),
      rtol_(options.rtol),
      atol_(options.atol),
      per_sample_(options.control == StepControl::sample),
      lands_(per_sample_ || field_.flow().prediction != Prediction::velocity) {
  const auto interval = sampling_interval(field_.flow());
  end_ = interval.end;
  times_.assign(per_sample_ ? static_cast<size_t>(x_.size(0)) : 1, interval.start);
}

bool Dopri5::done() const {
  return std::all_of(times_.begin(), times_.end(), [this](double t) { return t >= end_; });
}

double Dopri5::time() const {
  return std::min(end_, *std::min_element(times_.begin(), times_.end()));
}

std::vector<double> Dopri5::norms(const at::Tensor& value, const at::Tensor& scale) const {
  const auto squares = to_widest_float(value / scale).square();
  const auto means = per_sample_ ? squares.flatten(1).mean(1) : squares.mean().reshape({1});
  const auto roots = means.sqrt().cpu().to(at::kDouble);
  return {roots.data_ptr<double>(), roots.data_ptr<double>() + roots.numel()};
}

/** Hairer, Nørsett and Wanner, Solving Ordinary Differential Equations I, II.4. */
void Dopri5::choose_first_step_sizes() {
  slope_ = begin(times_[0]).velocity;
  const auto scale = tolerance(x_.abs());
  const auto size = norms(x_, scale), speed = norms(slope_, scale);
  std::vector<double> trial(times_.size()), later(times_.size());
  for (size_t i = 0; i < trial.size(); ++i) {
    trial[i] = size[i] < 1e-5 || speed[i] < 1e-5 ? 1e-6 : .01 * size[i] / speed[i];
    later[i] = times_[i] + trial[i];
  }
  const auto h = expand_like(vector_like(trial, x_), x_).to(x_.scalar_type());
  const auto bend = norms(field_(x_ + h * slope_, later).velocity - slope_, scale);
  for (size_t i = 0; i < trial.size(); ++i) {
    const double change = std::max(speed[i], bend[i] / trial[i]);
    const double wanted =
        change <= 1e-15 ? std::max(1e-6, trial[i] * 1e-3) : std::pow(.01 / change, .2);
    sizes_.push_back(std::min(100 * trial[i], wanted));
  }
}

std::vector<int64_t> Dopri5::active_rows() const {
  std::vector<int64_t> rows;
  for (size_t i = 0; per_sample_ && i < times_.size(); ++i) {
    if (times_[i] < end_) rows.push_back(static_cast<int64_t>(i));
  }
  return rows;
}

Dopri5::Trial Dopri5::attempt(const at::Tensor& x, const at::Tensor& slope,
                              const std::vector<double>& times, const std::vector<double>& sizes,
                              const std::vector<int64_t>& rows) {
  const auto h = expand_like(vector_like(sizes, x), x).to(x.scalar_type());
  Trial trial{.x = x, .error = {}, .slopes = {slope}};
  for (size_t stage = 0; stage < kStages.size(); ++stage) {
    std::vector<double> at(times.size());
    for (size_t i = 0; i < at.size(); ++i) at[i] = times[i] + kNodes[stage] * sizes[i];
    trial.x = x + combine(kStages[stage], trial.slopes, h);
    trial.slopes.push_back(field_(trial.x, at, rows).velocity);
  }
  trial.error = combine(kError, trial.slopes, h);
  return trial;
}

void Dopri5::step() {
  if (!slope_.defined()) return choose_first_step_sizes();
  const auto rows = active_rows();
  const auto pick = [&](const at::Tensor& all) {
    return rows.empty() ? all : all.index_select(0, index_like(rows, all));
  };
  const size_t count = rows.empty() ? 1 : rows.size();
  const auto owner = [&rows](size_t i) { return rows.empty() ? 0 : static_cast<size_t>(rows[i]); };
  std::vector<double> times, sizes;
  for (size_t i = 0; i < count; ++i) {
    const double t = times_[owner(i)], h = sizes_[owner(i)];
    if (!(h > kMinStepSize)) throw std::runtime_error("dopri5: the step size fell below 1e-12");
    times.push_back(t);
    sizes.push_back(lands_ ? std::min(h, end_ - t) : h);
  }

  const auto x = pick(x_), slope = pick(slope_);
  const auto trial = attempt(x, slope, times, sizes, rows);
  const auto errors = norms(trial.error, tolerance(at::max(x.abs(), trial.x.abs())));

  // Positions among the active samples, and their rows.
  std::vector<int64_t> accepted, accepted_rows;
  for (size_t i = 0; i < count; ++i) {
    if (errors[i] <= 1) {
      const double next = times[i] + sizes[i];
      times_[owner(i)] = lands_ && sizes[i] == end_ - times[i] ? end_ : next;
      accepted.push_back(static_cast<int64_t>(i));
      accepted_rows.push_back(static_cast<int64_t>(owner(i)));
    }
    sizes_[owner(i)] = sizes[i] * growth(errors[i]);
  }
  if (accepted.empty()) return;

  if (rows.empty()) {
    const double h = sizes[0], passed = times[0] + h;
    x_ = trial.x;
    slope_ = trial.slopes.back();
    if (passed > end_) {
      const auto size = at::full({}, h, x.options());
      const auto middle = x + combine(kMiddle, trial.slopes, size);
      x_ = interpolate(x, trial.x, middle, h * slope, h * slope_, (end_ - times[0]) / h);
    }
  } else {
    const auto from = index_like(accepted, x_), to = index_like(accepted_rows, x_);
    x_ = x_.index_copy(0, to, trial.x.index_select(0, from));
    slope_ = slope_.index_copy(0, to, trial.slopes.back().index_select(0, from));
  }
  const auto t = vector_like(times_, x_).clamp_max(end_);
  preview_ = data_estimate(field_.flow().path, x_, slope_, t);
}

}  // namespace mactok
