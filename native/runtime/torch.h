#pragma once

/**
 * What we use of LibTorch, and what is precompiled: all of `torch/torch.h` would double the time to
 * compile a file.
 */
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/nn/module.h>
