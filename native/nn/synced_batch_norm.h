#pragma once

#include "runtime/torch.h"

#include <memory>
#include <vector>

#include "distributed/process_group.h"
#include "nn/batch_norm.h"

namespace mactok {

/**
 * Batch norms in training mode by the statistics of all ranks' batches, which have the same size:
 * norm i of xs[i], [..., C] -> float32 [..., C]. One reduction in the forward pass and one in the
 * backward pass serve all of them.
 */
std::vector<at::Tensor> synced_batch_norm(const std::vector<std::shared_ptr<BatchNorm>>& norms,
                                          const std::vector<at::Tensor>& xs, ProcessGroup& group);

}  // namespace mactok
