#pragma once

#include "runtime/torch.h"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "distributed/gradient_buckets.h"
#include "distributed/shards.h"
#include "nn/named_tensors.h"
#include "runtime/autocast.h"
#include "runtime/cuda_library.h"
#include "runtime/gradients.h"
#include "runtime/profiler.h"
#include "runtime/random.h"
#include "runtime/replay.h"
#include "runtime/run_ahead.h"
#include "runtime/tf32.h"
#include "runtime/trained_casts.h"
#include "train/ema.h"
#include "train/meter.h"
#include "train/optimizer.h"

namespace mactok {

struct TrainingOptions {
  uint64_t seed;
  Precision precision;
  /** Replay steps as CUDA graphs, see Replay. */
  bool graphs;
  OptimizerOptions optimizer;
  EmaOptions ema;
  /** The ranks that share each micro-batch; null for a process alone. */
  std::shared_ptr<ProcessGroup> group;
  /** Whether moments and averages are divided among them, see Shards. */
  bool sharded;
};

/** What a step trains, and what else it writes. */
struct TrainedNetworks {
  std::shared_ptr<torch::nn::Module> model;
  /** The model's exponential moving average: the same parameters. */
  std::shared_ptr<torch::nn::Module> ema;
  /** Whether the model's parameter of that name is trained and averaged. */
  std::function<bool(const std::string&)> is_trained;
  /** Parameters of other networks that are trained but not averaged. */
  NamedTensors others;
  /** What else a step writes in place and others read. */
  std::vector<at::Tensor> written;

  /** The trained parameters of `model` or `ema`. */
  NamedTensors select_trained(const torch::nn::Module& network) const;
  /** All parameters that the optimiser trains. */
  NamedTensors all_trained() const;
  /** Everything that a step writes in place and that is read between steps. */
  std::vector<at::Tensor> all_written() const;
};

/** The tensors of one step, on the device: what its micro-batches share, and what each one has. */
template <typename Shared, typename Part>
struct StepInputs {
  Shared shared;
  std::vector<Part> parts;

  std::vector<at::Tensor*> tensors() {
    auto result = shared.tensors();
    for (auto& part : parts) {
      const auto more = part.tensors();
      result.insert(result.end(), more.begin(), more.end());
    }
    return result;
  }
};

/**
 * One optimiser step over micro-batches, for any network: the backward passes, AdamW, EMA and
 * metrics. Derived classes supply the inputs and the loss.
 *
 * Every random draw is a function of (seed, step, position in the global batch), and micro-batches
 * hold consecutive positions, of which each rank has an equal part, so neither accumulation, nor
 * the number of ranks, nor resuming changes anything. Draws are made
 * on the host before the device's work, which is the same in every step and can be replayed; the
 * host waits for the device only where it is two steps ahead.
 *
 * `Shared` has `lr`, a float64 scalar; `Part` has `size()`, its number of samples; both have
 * `tensors()`, as Replay requires.
 */
template <typename Shared, typename Part>
class TrainingStep {
 public:
  virtual ~TrainingStep() = default;
  TrainingStep(const TrainingStep&) = delete;
  TrainingStep& operator=(const TrainingStep&) = delete;

  /**
   * Means and counts since the last call, see MetricTotals. `skippedInARow` is the number of steps
   * up to now that changed nothing because something was not finite. All ranks call it at once.
   */
  virtual std::map<std::string, double> metrics();

  /** Groups of a checkpoint: model, ema, optimizer. The tensors are the live ones, not copies. */
  virtual std::map<std::string, NamedTensors> state() const;

  // All ranks call these at once; they do nothing for a process alone, or unless state is sharded.

  /** Gives each rank memory for the whole state, but no values. */
  void allocate_state();
  /** Copies rank 0's state to all ranks, then frees what others keep. */
  void share_state();
  /** Gives rank 0 the whole state, until `release_state`. */
  void gather_state();
  /** Gives each rank the average, until `release_state`. */
  void share_average();
  void release_state();

 protected:
  using Inputs = StepInputs<Shared, Part>;

  TrainingStep(TrainingOptions options, TrainedNetworks networks);

  /** Draws what the parts need and runs one update. */
  void run(uint64_t step, Shared shared, std::vector<Part> parts);

  /** The gradients of that step by name, without an update. */
  NamedTensors compute_gradients(uint64_t step, Shared shared, std::vector<Part> parts);

  const TrainingOptions& options() const { return options_; }
  at::Device device() const { return device_; }

 private:
  /** What is sharded: moments and averages, each by parameter. */
  std::vector<std::vector<at::Tensor>> sharded_state() const;
  /** Those of a list by parameter that this rank updates. */
  std::vector<at::Tensor> select_mine(const std::vector<at::Tensor>& tensors) const;

  int rank() const { return options_.group ? options_.group->rank() : 0; }
  int ranks() const { return options_.group ? options_.group->size() : 1; }

  /** Adds to a part what its samples draw, on the host. */
  virtual void draw(const Shared& shared, const random::Samples& samples, Part& part) const = 0;
  /** Called before the losses of a step. */
  virtual void begin(const Inputs& /*inputs*/) {}
  /** The loss of a part that is `share` of the step's batch; a scalar with gradient. */
  virtual at::Tensor loss(const Shared& shared, const Part& part, double share, Meter& meter) = 0;
  /**
   * Called after the backward passes, for those of other networks, which have an optimiser of their
   * own. Returns whether a loss or gradient of theirs is not finite, a float scalar, or undefined.
   */
  virtual at::Tensor backward_others(const Inputs& /*inputs*/, Meter& /*meter*/) { return {}; }
  /** Updates those networks, unless `skipped` (float scalar, 0 or 1) is 1. */
  virtual void update_others(const Inputs& /*inputs*/, const at::Tensor& /*skipped*/,
                             Meter& /*meter*/) {}
  /** Undoes what `begin` and later calls changed where no update follows. */
  virtual void discard(const Inputs& /*inputs*/) {}

  /** Parts with their draws, on the device; they hold consecutive samples of the global batch. */
  Inputs prepare(uint64_t step, Shared shared, std::vector<Part> parts) const;
  /** Whether a loss was not finite, a float scalar. */
  at::Tensor backward(const Inputs& inputs, Meter& meter);
  /**
   * A step changes everything, or, where something is not finite, nothing: that is decided between
   * the last backward pass and the first optimiser.
   */
  Outputs update(const Inputs& inputs);
  /** Drops gradients and undoes what the passes changed. */
  void abandon(const Inputs& inputs);

  TrainingOptions options_;
  TrainedNetworks networks_;
  at::Device device_;
  NamedTensors parameters_;
  TrainedCasts casts_;
  /** Null unless state is sharded. */
  std::unique_ptr<Shards> shards_;
  AdamW optimizer_;
  Ema ema_;
  MetricTotals totals_;
  /** Float scalar. */
  at::Tensor skipped_in_row_;
  /** Null for a process alone. */
  std::unique_ptr<GradientBuckets> buckets_;
  RunAhead run_ahead_;
  Replay<Inputs> update_;
};

template <typename Shared, typename Part>
TrainingStep<Shared, Part>::TrainingStep(TrainingOptions options, TrainedNetworks networks)
    : options_(options),
      networks_(std::move(networks)),
      device_(networks_.ema->parameters().at(0).device()),
      parameters_(networks_.all_trained()),
      casts_(device_, options_.precision),
      shards_(options_.group && options_.sharded
                  ? std::make_unique<Shards>(list_tensors(parameters_), options_.group)
                  : nullptr),
      optimizer_(options_.optimizer, parameters_, shards_.get()),
      ema_(options_.ema, select_mine(detach_all(networks_.select_trained(*networks_.model))),
           select_mine(detach_all(networks_.select_trained(*networks_.ema))), device_),
      skipped_in_row_(at::zeros({}, at::TensorOptions(device_).dtype(at::kFloat))),
      buckets_(options_.group
                   ? std::make_unique<GradientBuckets>(list_tensors(parameters_), options_.group)
                   : nullptr),
      run_ahead_(device_),
      update_(device_, options_.graphs, networks_.all_written(),
              [this](const Inputs& inputs) { return update(inputs); }) {
  for (auto& parameter : networks_.model->parameters()) parameter.set_requires_grad(false);
  for (auto& [name, parameter] : parameters_) parameter.set_requires_grad(true);
  for (auto& parameter : networks_.ema->parameters()) parameter.set_requires_grad(false);
}

template <typename Shared, typename Part>
StepInputs<Shared, Part> TrainingStep<Shared, Part>::prepare(uint64_t step, Shared shared,
                                                             std::vector<Part> parts) const {
  random::Samples samples{.seed = options_.seed, .step = step, .first_index = 0, .count = 0};
  uint64_t first = 0;
  for (auto& part : parts) {
    samples.count = part.size();
    const auto count = static_cast<uint64_t>(samples.count);
    samples.first_index = first + static_cast<uint64_t>(rank()) * count;
    draw(shared, samples, part);
    first += static_cast<uint64_t>(ranks()) * count;
  }
  Inputs inputs{.shared = std::move(shared), .parts = std::move(parts)};
  upload_all(inputs.tensors(), device_);
  return inputs;
}

template <typename Shared, typename Part>
at::Tensor TrainingStep<Shared, Part>::backward(const Inputs& inputs, Meter& meter) {
  const at::AutoGradMode with_gradients(true);
  const Autocast autocast(device_.type(), options_.precision);
  auto broken = at::zeros_like(skipped_in_row_);
  begin(inputs);
  if (buckets_) buckets_->begin();
  int64_t batch = 0;
  for (const auto& part : inputs.parts) batch += part.size() * ranks();
  for (const auto& part : inputs.parts) {
    const double share = static_cast<double>(part.size()) / static_cast<double>(batch);
    const TrainedCasts::Scope casts(casts_);
    const auto total = loss(inputs.shared, part, share, meter);
    const Phase phase("backward");
    if (buckets_ && &part == &inputs.parts.back()) buckets_->start_at_last_pass();
    run_backward(total * share);
    broken = at::max(broken, is_not_finite(total));
  }
  if (buckets_) buckets_->finish();
  return broken;
}

template <typename Shared, typename Part>
void TrainingStep<Shared, Part>::abandon(const Inputs& inputs) {
  optimizer_.zero_grad();
  discard(inputs);
}

template <typename Shared, typename Part>
Outputs TrainingStep<Shared, Part>::update(const Inputs& inputs) {
  Meter meter;
  // Also covers what no phase within it claims.
  Phase phase("inputs");
  try {
    auto skipped = backward(inputs, meter);
    phase.next("optimiser");
    const auto norm = optimizer_.gradient_norm();
    skipped = at::max(skipped, is_not_finite(norm));
    phase.next("metrics");
    const auto others = backward_others(inputs, meter);
    if (others.defined()) skipped = at::max(skipped, others);
    if (options_.group) options_.group->max(skipped);

    phase.next("optimiser");
    optimizer_.step(inputs.shared.lr, norm, skipped);
    optimizer_.zero_grad();
    if (shards_) shards_->share(detach_all(parameters_));
    phase.next("EMA");
    ema_.update(skipped);
    phase.next("metrics");
    update_others(inputs, skipped, meter);
    skipped_in_row_.add_(1).mul_(skipped);
    meter.add("gradNorm", norm);
    meter.count("skipped", skipped);
  } catch (...) {
    abandon(inputs);
    throw;
  }
  return meter.outputs();
}

template <typename Shared, typename Part>
void TrainingStep<Shared, Part>::run(uint64_t step, Shared shared, std::vector<Part> parts) {
  const StepSpan span(step);
  Phase phase("inputs");
  run_ahead_.wait();
  // Also for the backward pass, and for what other threads compute again in it.
  const Tf32 tf32(device_.type(), options_.precision == Precision::tf32);
  const auto outputs = update_(prepare(step, std::move(shared), std::move(parts)));
  phase.next("metrics");
  totals_.add_step(outputs);
}

template <typename Shared, typename Part>
NamedTensors TrainingStep<Shared, Part>::compute_gradients(uint64_t step, Shared shared,
                                                           std::vector<Part> parts) {
  const auto inputs = prepare(step, std::move(shared), std::move(parts));
  Meter unread;
  const Tf32 tf32(device_.type(), options_.precision == Precision::tf32);
  try {
    backward(inputs, unread);
  } catch (...) {
    abandon(inputs);
    throw;
  }
  discard(inputs);
  NamedTensors result;
  for (const auto& [name, parameter] : parameters_) {
    const auto& gradient = parameter.grad();
    result.emplace_back(name, gradient.defined() ? gradient.clone() : at::zeros_like(parameter));
  }
  optimizer_.zero_grad();
  return result;
}

template <typename Shared, typename Part>
std::map<std::string, double> TrainingStep<Shared, Part>::metrics() {
  auto result = totals_.read(options_.group.get());
  result["skippedInARow"] = skipped_in_row_.template item<double>();
  return result;
}

template <typename Shared, typename Part>
void TrainingStep<Shared, Part>::share_state() {
  if (!options_.group) return;
  for (const auto& [group, tensors] : state()) options_.group->broadcast(list_tensors(tensors));
  release_state();
}

template <typename Shared, typename Part>
void TrainingStep<Shared, Part>::allocate_state() {
  for (const auto& tensors : sharded_state()) shards_->allocate(tensors);
}

template <typename Shared, typename Part>
void TrainingStep<Shared, Part>::gather_state() {
  for (const auto& tensors : sharded_state()) shards_->gather(tensors);
}

template <typename Shared, typename Part>
void TrainingStep<Shared, Part>::share_average() {
  if (!shards_) return;
  const auto average = detach_all(networks_.select_trained(*networks_.ema));
  shards_->allocate(average);
  shards_->share(average);
}

template <typename Shared, typename Part>
void TrainingStep<Shared, Part>::release_state() {
  for (const auto& tensors : sharded_state()) shards_->release(tensors);
}

template <typename Shared, typename Part>
std::vector<std::vector<at::Tensor>> TrainingStep<Shared, Part>::sharded_state() const {
  if (!shards_) return {};
  auto [averages, squares] = optimizer_.moments();
  return {averages, squares, detach_all(networks_.select_trained(*networks_.ema))};
}

template <typename Shared, typename Part>
std::vector<at::Tensor> TrainingStep<Shared, Part>::select_mine(
    const std::vector<at::Tensor>& tensors) const {
  std::vector<at::Tensor> result;
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (!shards_ || shards_->is_mine(i)) result.push_back(tensors[i]);
  }
  return result;
}

template <typename Shared, typename Part>
std::map<std::string, NamedTensors> TrainingStep<Shared, Part>::state() const {
  auto optimizer = optimizer_.state();
  optimizer.emplace_back("ema_updates", ema_.updates());
  return {{"model", named_parameters(*networks_.model)},
          {"ema", named_parameters(*networks_.ema)},
          {"optimizer", optimizer}};
}

}  // namespace mactok
