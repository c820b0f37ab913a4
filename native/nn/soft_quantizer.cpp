#include "nn/soft_quantizer.h"

namespace mactok {
namespace {

at::Tensor directions(const at::Tensor& x) {
  return x / at::linalg_vector_norm(x, 2, {-1}, true).clamp_min(1e-12);
}

}  // namespace

SoftQuantizer::SoftQuantizer(const SoftQuantizerOptions& options, int64_t channels)
    : embedding(register_parameter(
          "embedding", at::empty({options.codebooks, options.codebook_size, channels}))),
      options_(options) {}

at::Tensor SoftQuantizer::forward(const at::Tensor& x) const {
  const int64_t books = options_.codebooks, channels = x.size(2);
  const auto runs = x.reshape({x.size(0), books, -1, channels}).transpose(0, 1);  // [K, B, L/K, Z]
  const auto flat = runs.reshape({books, -1, channels});                          // [K, B·L/K, Z]
  const auto tokens = options_.normalise ? directions(flat) : flat;
  const auto codes = options_.normalise ? directions(embedding) : embedding;
  // Codes get gradients from the average, not from the similarity.
  const auto similarity = at::bmm(tokens, codes.detach().transpose(1, 2));
  const auto mixed = at::bmm(at::softmax(similarity / options_.temperature, -1), codes);
  return mixed.view(runs.sizes()).transpose(0, 1).reshape(x.sizes());
}

}  // namespace mactok
