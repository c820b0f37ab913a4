#pragma once

#include "runtime/torch.h"

namespace mactok {

/**
 * SSIM of each pair of images on levels 0 to 255 (Wang et al. 2004), as scikit-image's
 * `structural_similarity` with `data_range=255, gaussian_weights=True, sigma=1.5,
 * use_sample_covariance=False, channel_axis=-1`: a Gaussian window of 11 × 11, K .01 and .03, mean
 * over channels and over the places where the window fits.
 * a, b: uint8 [B, H, W, 3], H and W at least 11 -> float64 [B]
 */
at::Tensor structural_similarity(const at::Tensor& a, const at::Tensor& b);

}  // namespace mactok
