#include "kernels/loops/gelu.h"

namespace mactok::loops {
namespace {

struct Value {
  float value, slope;
};

/** x·Φ(x) and Φ(x) + x·φ(x), with Φ by Abramowitz and Stegun 7.1.26: one exponential for both. */
inline Value exact(float x) {
  const float z = (x < 0 ? -x : x) * .70710678F;
  const float t = 1 / (1 + .3275911F * z);
  const float bell = exponential(-z * z);
  const float tail =
      .5F * bell * t *
      (.254829592F +
       t * (-.284496736F + t * (1.421413741F + t * (-1.453152027F + t * 1.061405429F))));
  const float phi = x < 0 ? tail : 1 - tail;
  return {x * phi, phi + x * bell * .39894228F};
}

/** x·s with s = σ(2u), u = √(2/π)·(x + .044715x³): the tanh form, written with one exponential. */
inline Value by_tanh(float x) {
  const float u = 1.59576912F * (x + .044715F * x * x * x);
  const float s = 1 / (1 + exponential(-u));
  return {x * s, s + x * s * (1 - s) * 1.59576912F * (1 + .134145F * x * x)};
}

}  // namespace

MACTOK_CLONES void gelu(bf16* __restrict x, int64_t count, bool keep, bf16* __restrict out) {
  if (!keep) {
    for (int64_t i = 0; i < count; ++i) out[i] = narrow(exact(widen(x[i])).value);
    return;
  }
  for (int64_t i = 0; i < count; ++i) {
    const auto [value, slope] = exact(widen(x[i]));
    out[i] = narrow(value);
    x[i] = narrow(slope);
  }
}

MACTOK_CLONES void gelu_tanh(bf16* __restrict x, int64_t count, bool keep, bf16* __restrict out) {
  if (!keep) {
    for (int64_t i = 0; i < count; ++i) out[i] = narrow(by_tanh(widen(x[i])).value);
    return;
  }
  for (int64_t i = 0; i < count; ++i) {
    const auto [value, slope] = by_tanh(widen(x[i]));
    out[i] = narrow(value);
    x[i] = narrow(slope);
  }
}

MACTOK_CLONES void product(const bf16* __restrict a, const bf16* __restrict b, int64_t count,
                           bf16* __restrict out) {
  for (int64_t i = 0; i < count; ++i) out[i] = narrow(widen(a[i]) * widen(b[i]));
}

}  // namespace mactok::loops
