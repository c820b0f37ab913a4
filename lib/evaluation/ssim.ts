import { instance } from '../checks.js'
import { native } from '../native/errors.js'
import { addon } from '../native/load.js'
import { Tensor } from '../tensor/tensor.js'

/** Sides below which SSIM's window does not fit. */
export const SSIM_WINDOW = 11

/**
 * SSIM of each pair of images, uint8 [B, H, W, 3] of at least 11 × 11 pixels: the original convention (Wang et al. 2004), as
 * scikit-image's `structural_similarity(data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False)`.
 */
export async function ssim(a: Tensor<'uint8'>, b: Tensor<'uint8'>): Promise<number[]> {
  for (const [name, value] of Object.entries({ a, b })) instance(name, 'a Tensor', Tensor, value)
  const values = await native(addon().structuralSimilarity(a.native, b.native))
  try {
    return [...new Float64Array(await native(values.read()))]
  } finally {
    values.dispose()
  }
}
