#pragma once

#include "runtime/torch.h"

#include <cstdint>
#include <string>

/**
 * Initial values of parameters. Each is a function of (seed, parameter name) alone, by the random
 * stream `init/<name>`.
 */
namespace mactok::init {

void constant(const at::Tensor& parameter, double value);

/**
 * N(0, deviation²). timm's `trunc_normal_(std=.02)` is the same: it truncates at ±2, a hundred
 * deviations.
 */
void normal(const at::Tensor& parameter, uint64_t seed, const std::string& name, double deviation);

/** U(−bound, bound). */
void uniform(const at::Tensor& parameter, uint64_t seed, const std::string& name, double bound);

/** Copies values of the same number of elements, from any device. */
void assign(const at::Tensor& parameter, const at::Tensor& values);

}  // namespace mactok::init
