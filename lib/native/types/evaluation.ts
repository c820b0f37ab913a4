/** What evaluations compute. */

import type { NativeModule, NativeTensor, Precision } from './tensor.js'

/** FID's Inception-v3; its state has pytorch-fid's names, and `fc.weight` with a classifier. */
export interface NativeInception extends NativeModule {
  /**
   * Features of images uint8 [B,H,W,3] or float32 [B,3,H,W] in [-1,1], resized as in pytorch-fid or TensorFlow 1: float32 pool
   * [B, 2048], spatial [B, 2023] (sFID's), and probabilities [B, classes], null without a classifier.
   */
  features(
    images: NativeTensor,
    input: 'pytorch' | 'tensorflow',
    precision: Precision
  ): Promise<{ pool: NativeTensor; spatial: NativeTensor; probabilities: NativeTensor | null }>
}

/** Mean and covariance of rows, float64; its state is `count` [1], `mean` [D], `scatter` [D, D]. */
export interface NativeMoments extends NativeModule {
  add(rows: NativeTensor): Promise<void>
  merge(other: NativeMoments): Promise<void>
  /** Unbiased, [D, D]. */
  covariance(): Promise<NativeTensor>
}

/** For each of G point clouds, float32: mean [G, D], axes [G, K, D], deviations [G, K], scores [G, N, K]. */
export interface NativePrincipalComponents {
  mean: NativeTensor
  axes: NativeTensor
  deviations: NativeTensor
  scores: NativeTensor
}

export interface EvaluationFunctions {
  /** classes: rows of `fc.weight`; 0 for no classifier. */
  createInception(classes: number, device: string): Promise<NativeInception>
  createMoments(width: number, device: string): Promise<NativeMoments>
  /** SSIM of each pair of images, uint8 [B, H, W, 3] of at least 11 × 11 pixels: float64 [B]. */
  structuralSimilarity(a: NativeTensor, b: NativeTensor): Promise<NativeTensor>
  /** The Fréchet distance between Gaussians of mean [D] and covariance [D, D]. */
  frechetDistance(
    meanA: NativeTensor,
    covarianceA: NativeTensor,
    meanB: NativeTensor,
    covarianceB: NativeTensor
  ): Promise<number>
  /** Squared distance of each row [M, D] to its k-th nearest neighbour among all [N, D], itself excluded. */
  neighbourRadii(rows: NativeTensor, all: NativeTensor, k: number): Promise<NativeTensor>
  /** bool [M]: whether each row lies within the (squared) radius [N] of one of all [N, D]. */
  inManifold(rows: NativeTensor, all: NativeTensor, radii: NativeTensor): Promise<NativeTensor>
  /** KID's unbiased estimate between rows of features [M, D] and [N, D], float32; the rows, int64, at least two of each. */
  kernelDistance(a: NativeTensor, b: NativeTensor, rowsA: NativeTensor, rowsB: NativeTensor): Promise<number>
  /** Mutual information of images and latents in nats, in total and of each token: float64 [L]; all tensors are [N, L, Z]. */
  mutualInformation(
    means: NativeTensor,
    logvars: NativeTensor,
    samples: NativeTensor
  ): Promise<{ total: number; tokens: NativeTensor }>
  /** The first `count` principal components of each cloud of points [G, N, D]. */
  principalComponents(points: NativeTensor, count: number): Promise<NativePrincipalComponents>
  /**
   * Fits a multinomial logistic regression to standardised features [n, D] with labels int64 [n], and evaluates it on the validation
   * set. The weights, float64, apply to standardised features.
   */
  linearProbe(
    features: NativeTensor,
    labels: NativeTensor,
    validationFeatures: NativeTensor,
    validationLabels: NativeTensor,
    options: { classes: number; l2: number; iterations: number }
  ): Promise<{
    weight: NativeTensor
    bias: NativeTensor
    mean: NativeTensor
    deviation: NativeTensor
    loss: number
    trainAccuracy: number
    validationAccuracy: number
  }>
}
