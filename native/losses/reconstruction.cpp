#include "losses/reconstruction.h"

namespace mactok {

at::Tensor reconstruction_loss(const at::Tensor& pred, const at::Tensor& target,
                               std::string_view kind) {
  TORCH_CHECK(kind == "mse" || kind == "l1", "reconstruction: expected mse or l1 but received ",
              kind);
  const auto x = pred.to(at::kFloat), y = target.to(at::kFloat);
  return kind == "mse" ? at::mse_loss(x, y) : at::l1_loss(x, y);
}

}  // namespace mactok
