#include "train/linear_probe.h"

#include <torch/optim/lbfgs.h>

namespace mactok {
namespace {

double accuracy(const at::Tensor& logits, const at::Tensor& labels) {
  return logits.argmax(1).eq(labels).to(at::kDouble).mean().item<double>();
}

}  // namespace

Probe fit_probe(const ProbeData& train, const ProbeData& validation, const ProbeOptions& options) {
  const auto features = train.features.to(at::kDouble);  // [n, D]
  Probe probe;
  probe.mean = features.mean(0);
  probe.deviation = features.std(0, /*unbiased=*/false);
  probe.deviation.masked_fill_(probe.deviation.le(1e-12), 1.0);
  const auto standardised = [&](const at::Tensor& x) {
    return (x.to(at::kDouble) - probe.mean) / probe.deviation;
  };
  const auto x = standardised(features);
  probe.weight = at::zeros({options.classes, x.size(1)}, x.options());
  probe.bias = at::zeros({options.classes}, x.options());
  {
    const at::AutoGradMode with_grad(true);
    probe.weight.set_requires_grad(true);
    probe.bias.set_requires_grad(true);
    torch::optim::LBFGS optimizer({probe.weight, probe.bias}, torch::optim::LBFGSOptions(1)
                                                                  .max_iter(options.iterations)
                                                                  .max_eval(options.iterations * 4)
                                                                  .tolerance_grad(1e-7)
                                                                  .tolerance_change(0)
                                                                  .history_size(20)
                                                                  .line_search_fn("strong_wolfe"));
    const auto closure = [&] {
      optimizer.zero_grad();
      const auto logits = at::addmm(probe.bias, x, probe.weight.t());
      auto loss = at::cross_entropy_loss(logits, train.labels) +
                  0.5 * options.l2 * probe.weight.square().sum();
      loss.backward();
      return loss.detach();
    };
    optimizer.step(closure);
    probe.loss = closure().item<double>();
  }
  probe.weight = probe.weight.detach();
  probe.bias = probe.bias.detach();
  const auto logits = [&](const at::Tensor& standard) {
    return at::addmm(probe.bias, standard, probe.weight.t());
  };
  probe.train_accuracy = accuracy(logits(x), train.labels);
  probe.validation_accuracy =
      accuracy(logits(standardised(validation.features)), validation.labels);
  return probe;
}

}  // namespace mactok
