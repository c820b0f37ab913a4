#pragma once

#include "runtime/torch.h"

#include <vector>

namespace mactok {

/** The values of float32 tensors at one time; a few operations take and restore all of them. */
class Snapshot {
 public:
  explicit Snapshot(std::vector<at::Tensor> tensors);

  void take();

  /** Where `undone` (float scalar, 0 or 1) is 1, restores the values; then drops them. */
  void restore_if(const at::Tensor& undone);

  /** Restores the values, if any were taken, and drops them. */
  void restore();

 private:
  std::vector<at::Tensor> flatten() const;
  void assign(const at::Tensor& values);

  std::vector<at::Tensor> tensors_;
  /** All values in a row; undefined but between `take` and `restore`. */
  at::Tensor values_;
};

}  // namespace mactok
