#include "losses/reconstruction.h"

namespace mactok {

at::Tensor reconstruction_loss(ReconstructionLoss kind, const at::Tensor& pred,
                               const at::Tensor& target) {
  const auto x = pred.to(at::kFloat), y = target.to(at::kFloat);
  return kind == ReconstructionLoss::mse ? at::mse_loss(x, y) : at::l1_loss(x, y);
}

}  // namespace mactok
