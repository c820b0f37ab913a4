/** Names of metrics and of the ways to compute them. */

import { MactokError } from '../errors.js'

/**
 * Metrics of reconstructions besides PSNR and those of the posterior, which cost little. `samplePsnr`: the PSNR of reconstructions from
 * samples of the posterior instead of its means. Those that begin with r compare the distributions of images and reconstructions, as the
 * generation metric of the same name does.
 */
export const reconstructionMetrics = ['samplePsnr', 'ssim', 'lpips', 'rfid', 'rkid', 'rfdDinov2', 'rkdDinov2'] as const
export type ReconstructionMetric = (typeof reconstructionMetrics)[number]

/** Metrics of generated images by ADM's evaluator; `is`: the Inception score. */
export const admMetrics = ['fid', 'sfid', 'is', 'precision', 'recall'] as const

/** Metrics of generated images; `kid` and `kdDinov2`: the kernel distances, `fdDinov2`: the Fréchet distance on DINOv2's features. */
export const generationMetrics = [...admMetrics, 'kid', 'fdDinov2', 'kdDinov2'] as const
export type GenerationMetric = (typeof generationMetrics)[number]

export const metricTitles: Record<GenerationMetric, string> = {
  fid: 'FID',
  sfid: 'sFID',
  is: 'Inception score',
  precision: 'precision',
  recall: 'recall',
  kid: 'KID',
  fdDinov2: 'FD-DINOv2',
  kdDinov2: 'KD-DINOv2'
}

/** The networks whose features images are compared by. */
export const featureNetworks = ['inception', 'dinov2'] as const
export type FeatureNetwork = (typeof featureNetworks)[number]

/** The network whose features a metric needs. */
export const networkOf = (metric: GenerationMetric): FeatureNetwork =>
  metric === 'fdDinov2' || metric === 'kdDinov2' ? 'dinov2' : 'inception'

/** Metrics that need every image's features, not just their mean and covariance. */
export const needsFeatures = (metric: GenerationMetric): boolean =>
  metric === 'precision' || metric === 'recall' || metric === 'kid' || metric === 'kdDinov2'

/**
 * How images reach 299 × 299: `pytorch` as pytorch-fid does, `tensorflow` as ADM's evaluator (TensorFlow 1), whose published
 * statistics are only comparable with the latter.
 */
export const inceptionInputs = ['pytorch', 'tensorflow'] as const
export type InceptionInput = (typeof inceptionInputs)[number]

/**
 * Refuses metrics that came out as no number; infinite ones (PSNR of equal images) stay.
 * @throws {MactokError} ERR_DIVERGED naming the metric
 */
export function requireNumbers<T extends object>(metrics: T): T {
  const [name] = Object.entries(metrics).find(([, value]) => Number.isNaN(value)) ?? []
  if (name !== undefined) throw new MactokError('ERR_DIVERGED', `The metric ${name} is not a number (NaN)`)
  return metrics
}

/** What a guidance sweep varies. */
export const sweepAxes = ['guidance', 'interval'] as const
export type SweepAxis = (typeof sweepAxes)[number]
