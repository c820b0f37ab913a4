import type { Tensor } from '../tensor/tensor.js'
import type { Networks } from './networks.js'

/** What is known of a batch of images once the networks have seen it, as plain arrays, which ranks can send; null: not computed. */
export interface ImageFeatures {
  /** B */
  images: number
  /** [B, 2048], what FID, precision and recall compare. */
  pool: Float32Array | null
  /** [B, 2023], what sFID compares. */
  spatial: Float32Array | null
  /** [B, classes] of Inception's classifier. */
  probabilities: Float32Array | null
  /** [B, D] of DINOv2. */
  dinov2: Float32Array | null
}

/**
 * Computes what `ImageStatistics` adds up.
 * @param images - uint8 [B, H, W, 3]
 * @param options.spatial - also sFID's features
 */
export async function extractFeatures(
  { inception, dinov2 }: Networks,
  images: Tensor<'uint8'>,
  { spatial = false }: { spatial?: boolean | undefined } = {}
): Promise<ImageFeatures> {
  const features: ImageFeatures = {
    images: images.shape[0] as number,
    pool: null,
    spatial: null,
    probabilities: null,
    dinov2: null
  }
  if (inception) {
    const computed = await inception.features(images)
    using _ = computed.pool
    using __ = computed.spatial
    using probabilities = computed.probabilities
    features.pool = await computed.pool.toFloat32()
    if (spatial) features.spatial = await computed.spatial.toFloat32()
    features.probabilities = (await probabilities?.toFloat32()) ?? null
  }
  if (dinov2) {
    using computed = await dinov2.features(images)
    features.dinov2 = await computed.toFloat32()
  }
  return features
}
