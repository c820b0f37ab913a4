/** Names of metrics and of the ways to compute them. */

import { MactokError } from '../errors.js'

/** Metrics of reconstructions besides PSNR, active units and KL, which cost nothing. */
export const reconstructionMetrics = ['ssim', 'lpips', 'rfid'] as const
export type ReconstructionMetric = (typeof reconstructionMetrics)[number]

/** Metrics of generated images; `is`: the Inception score. */
export const generationMetrics = ['fid', 'sfid', 'is', 'precision', 'recall'] as const
export type GenerationMetric = (typeof generationMetrics)[number]

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
