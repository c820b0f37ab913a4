#pragma once

#include "runtime/torch.h"

#include <string>

#include "flow/path.h"
#include "models/denoiser.h"

namespace mactok {

/** What a network's output stands for. */
enum class Prediction { velocity, noise, score };

Prediction parse_prediction(const std::string& name);

/** How a network was trained. */
struct FlowOptions {
  PathKind path;
  Prediction prediction;
  bool data_at_zero;  ///< its time runs from data at 0 to noise at 1 (REPA, SoftVQ, MAETok)
};

/** A point of the flow: what moves it, and the noise in it. Everything else follows from these two. */
struct Estimate {
  at::Tensor velocity, noise;
};

/**
 * The network's output about x at our times (float32 [B]). A network of the other direction is asked at 1 − t, and its velocity
 * negated.
 */
at::Tensor predict(const Denoiser& model, const FlowOptions& flow, const at::Tensor& x,
                   const at::Tensor& times, const at::Tensor& labels);

/**
 * Velocity and noise behind an output at times [B] or [1]. Finite at t = 1 for a predicted velocity on the linear path and GVP, where
 * SiT's detour over the score divides by zero.
 */
Estimate interpret(const FlowOptions& flow, const at::Tensor& output, const at::Tensor& x,
                   const at::Tensor& times);

/** The clean latents that x and its velocity point to. */
at::Tensor data_estimate(PathKind path, const at::Tensor& x, const at::Tensor& velocity,
                         const at::Tensor& times);

/** Where time begins and ends. */
struct Interval {
  double start, end;
};

/** SiT's: everything for a velocity on the linear path and GVP, else 1e-3 from the ends; VP 1e-5 from the data. */
Interval training_interval(const FlowOptions& flow);

/** The same for ODEs; VP ends 1e-3 from the data. */
Interval sampling_interval(const FlowOptions& flow);

}  // namespace mactok
