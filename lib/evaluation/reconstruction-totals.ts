/** Adds up the measures of reconstructions, batch by batch, to metrics. */

import { MactokError } from '../errors.js'
import { frechetDistance, type Gaussian } from './gaussian.js'
import { disposeGaussians, ImageStatistics } from './image-statistics.js'
import { kernelDistance } from './kernel-distance.js'
import type { FeatureNetwork, ReconstructionMetric } from './metric-names.js'
import type { Networks } from './networks.js'
import { PosteriorStatistics, type PosteriorSummary } from './posterior.js'
import type { ReconstructionMeasures } from './reconstruction-batch.js'

export interface ReconstructionEvaluation extends Partial<PosteriorSummary> {
  images: number
  /** dB, mean over the images, on 256 levels. */
  psnr: number
  /** The same from samples of the posterior (seed 0) instead of its means; the decoder was trained on samples. */
  samplePsnr?: number
  ssim?: number
  /** The learned distance, mean over the images. */
  lpips?: number
  /** The Fréchet Inception distance between images and reconstructions. */
  rfid?: number
  /** The kernel distance on Inception's features; unbiased, so it may be below zero. */
  rkid?: number
  /** The same two on DINOv2's features. */
  rfdDinov2?: number
  rkdDinov2?: number
}

/** Metrics that compare distributions, by network. */
const distances = {
  inception: { frechet: 'rfid', kernel: 'rkid' },
  dinov2: { frechet: 'rfdDinov2', kernel: 'rkdDinov2' }
} as const

/** Whether a metric compares a network's features. */
export const needsNetwork = (network: FeatureNetwork, metrics: readonly ReconstructionMetric[]): boolean =>
  Object.values(distances[network]).some((metric) => metrics.includes(metric))

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length

export class ReconstructionTotals implements Disposable {
  readonly #metrics: readonly ReconstructionMetric[]
  readonly #posterior: PosteriorStatistics
  /** By image. */
  readonly #values = { psnr: [] as number[], samplePsnr: [] as number[], ssim: [] as number[], lpips: [] as number[] }
  /** Null where no metric compares distributions. */
  readonly #statistics: { original: ImageStatistics; decoded: ImageStatistics } | null

  private constructor(
    metrics: readonly ReconstructionMetric[],
    posterior: PosteriorStatistics,
    statistics: { original: ImageStatistics; decoded: ImageStatistics } | null
  ) {
    this.#metrics = metrics
    this.#posterior = posterior
    this.#statistics = statistics
  }

  static async create(
    metrics: readonly ReconstructionMetric[],
    networks: Networks,
    { latentTokens, latentChannels }: { latentTokens: number; latentChannels: number }
  ): Promise<ReconstructionTotals> {
    const features = (['inception', 'dinov2'] as const).filter((network) => metrics.includes(distances[network].kernel))
    const hasNetworks = !!networks.inception || !!networks.dinov2
    const statistics = hasNetworks
      ? {
          original: await ImageStatistics.create(networks, { features }),
          decoded: await ImageStatistics.create(networks, { features })
        }
      : null
    return new ReconstructionTotals(metrics, new PosteriorStatistics(latentTokens, latentChannels), statistics)
  }

  /** Images so far. */
  get images(): number {
    return this.#values.psnr.length
  }

  async add({
    psnr,
    samplePsnr,
    ssim,
    lpips,
    means,
    logvars,
    original,
    decoded
  }: ReconstructionMeasures): Promise<void> {
    this.#values.psnr.push(...psnr)
    this.#values.samplePsnr.push(...(samplePsnr ?? []))
    this.#values.ssim.push(...(ssim ?? []))
    this.#values.lpips.push(...(lpips ?? []))
    if (means && logvars) this.#posterior.add(means, logvars)
    if (original) await this.#statistics?.original.add(original)
    if (decoded) await this.#statistics?.decoded.add(decoded)
  }

  /** @throws {MactokError} ERR_FORMAT without images */
  async result(): Promise<ReconstructionEvaluation> {
    const { psnr, samplePsnr, ssim, lpips } = this.#values
    if (psnr.length === 0) throw new MactokError('ERR_FORMAT', 'There are no images to evaluate')
    return {
      images: psnr.length,
      psnr: mean(psnr),
      ...(samplePsnr.length > 0 && { samplePsnr: mean(samplePsnr) }),
      ...(ssim.length > 0 && { ssim: mean(ssim) }),
      ...(lpips.length > 0 && { lpips: mean(lpips) }),
      ...(await this.#distances()),
      ...(await this.#posterior.result())
    }
  }

  async #distances(): Promise<Partial<ReconstructionEvaluation>> {
    const result: Partial<ReconstructionEvaluation> = {}
    if (!this.#statistics) return result
    const { original, decoded } = this.#statistics
    const [own, others] = [await original.gaussians(), await decoded.gaussians()]
    try {
      for (const network of ['inception', 'dinov2'] as const) {
        const { frechet, kernel } = distances[network]
        const part = network === 'inception' ? 'pool' : network
        if (this.#metrics.includes(frechet)) {
          result[frechet] = await frechetDistance(own[part] as Gaussian, others[part] as Gaussian)
        }
        using real = await original.features(network)
        using reconstructed = await decoded.features(network)
        if (real && reconstructed) result[kernel] = (await kernelDistance(real, reconstructed)).distance
      }
      return result
    } finally {
      disposeGaussians(own)
      disposeGaussians(others)
    }
  }

  dispose(): void {
    this.#statistics?.original.dispose()
    this.#statistics?.decoded.dispose()
  }

  [Symbol.dispose](): void {
    this.dispose()
  }
}
