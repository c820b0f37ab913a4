#pragma once

#include "runtime/torch.h"

#include "flow/path.h"
#include "models/denoiser.h"

namespace mactok {

/** What a network predicts. */
enum class Prediction { velocity, noise, score };

/** A network's own time: ours and SiT's, or from data at 0 to noise at 1 (REPA, SoftVQ, MAETok). */
enum class TimeDirection { data_at_one, data_at_zero };

/** How a network was trained. */
struct FlowOptions {
  PathKind path;
  Prediction prediction;
  TimeDirection time;
};

/** Velocity and noise at a point of the flow; everything else follows from these two. */
struct Estimate {
  at::Tensor velocity, noise;
};

/**
 * The network's output for x at our times (float32 [B]). A network of the other direction is
 * evaluated at 1 − t, and its velocity negated.
 */
at::Tensor predict(const Denoiser& model, const FlowOptions& flow, const at::Tensor& x,
                   const at::Tensor& times, const at::Tensor& labels);

/**
 * Velocity and noise that an output at times [B] or [1] implies. Finite at t = 1 for a predicted
 * velocity on the linear path and GVP, where SiT, which converts it to a score, divides by zero.
 */
Estimate interpret(const FlowOptions& flow, const at::Tensor& output, const at::Tensor& x,
                   const at::Tensor& times);

/** The clean latents that x and its velocity imply. */
at::Tensor data_estimate(PathKind path, const at::Tensor& x, const at::Tensor& velocity,
                         const at::Tensor& times);

/** A range of times. */
struct Interval {
  double start, end;
};

/**
 * The times of training, as SiT's: [0, 1] for a velocity on the linear path and GVP, else 1e-3 from
 * both ends; VP ends 1e-5 before the data.
 */
Interval training_interval(const FlowOptions& flow);

/** The times of ODE solvers: the same, but VP ends 1e-3 before the data. */
Interval sampling_interval(const FlowOptions& flow);

}  // namespace mactok
