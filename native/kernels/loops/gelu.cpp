#include "kernels/loops/gelu.h"

namespace mactok::loops {
namespace {

struct Value {
  float value, slope;
};

/**
 * ½·erfc(z)·exp(z²) for z ≥ 0 by a polynomial in 1 / (1 + cz): for bfloat16 Abramowitz and Stegun
 * 7.1.26 (1e-5), for float32 one of degree 8, fitted to the relative error (2e-7).
 */
template <typename T>
inline float scaled_tail(float z) {
  if constexpr (std::is_same_v<T, float>) {
    const float t = 1 / (1 + .42F * z);
    const float high =
        .268690968F + t * (-.130431226F + t * (.44057174F + t * (-.320199043F + t * .0702175784F)));
    return .5F * t * (.236824415F + t * (.239583159F + t * (.19474224F + t * high)));
  } else {
    const float t = 1 / (1 + .3275911F * z);
    return .5F * t *
           (.254829592F +
            t * (-.284496736F + t * (1.421413741F + t * (-1.453152027F + t * 1.061405429F))));
  }
}

/** x·Φ(x) and Φ(x) + x·φ(x): one exponential for both. */
template <typename T>
inline Value exact(float x) {
  const float z = (x < 0 ? -x : x) * .70710678F;
  const float bell = exponential<T>(-z * z);
  const float tail = bell * scaled_tail<T>(z);
  const float phi = x < 0 ? tail : 1 - tail;
  return {x * phi, phi + x * bell * .39894228F};
}

/**
 * x·s with s = σ(2u), u = √(2/π)·(x + .044715x³): the tanh form, written with one exponential. 1 −
 * s without cancellation.
 */
template <typename T>
inline Value by_tanh(float x) {
  const float u = 1.59576912F * (x + .044715F * x * x * x);
  const float e = exponential<T>(-u);
  const float s = 1 / (1 + e);
  return {x * s, s + x * s * (e * s) * 1.59576912F * (1 + .134145F * x * x)};
}

}  // namespace

template <typename T>
MACTOK_CLONES void gelu(T* __restrict x, int64_t count, bool keep, T* __restrict out) {
  if (!keep) {
    for (int64_t i = 0; i < count; ++i) out[i] = narrow<T>(exact<T>(widen(x[i])).value);
    return;
  }
  for (int64_t i = 0; i < count; ++i) {
    const auto [value, slope] = exact<T>(widen(x[i]));
    out[i] = narrow<T>(value);
    x[i] = narrow<T>(slope);
  }
}

template <typename T>
MACTOK_CLONES void gelu_tanh(T* __restrict x, int64_t count, bool keep, T* __restrict out) {
  if (!keep) {
    for (int64_t i = 0; i < count; ++i) out[i] = narrow<T>(by_tanh<T>(widen(x[i])).value);
    return;
  }
  for (int64_t i = 0; i < count; ++i) {
    const auto [value, slope] = by_tanh<T>(widen(x[i]));
    out[i] = narrow<T>(value);
    x[i] = narrow<T>(slope);
  }
}

template <typename T>
MACTOK_CLONES void product(const T* __restrict a, const T* __restrict b, int64_t count,
                           T* __restrict out) {
  for (int64_t i = 0; i < count; ++i) out[i] = narrow<T>(widen(a[i]) * widen(b[i]));
}

template void gelu(bf16*, int64_t, bool, bf16*);
template void gelu(float*, int64_t, bool, float*);
template void gelu_tanh(bf16*, int64_t, bool, bf16*);
template void gelu_tanh(float*, int64_t, bool, float*);
template void product(const bf16*, const bf16*, int64_t, bf16*);
template void product(const float*, const float*, int64_t, float*);

}  // namespace mactok::loops
