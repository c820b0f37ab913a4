import type { z } from 'zod'
import { callbacks, instance } from '../checks.js'
import { parseConfig } from '../config.js'
import { type EvaluationBatch, evaluationBatches } from '../data/evaluation-batches.js'
import type { ImageSource } from '../data/image-set.js'
import { asSource } from '../data/image-source.js'
import { toLevels } from '../data/levels.js'
import type { Broken } from '../data/reader.js'
import { spread } from '../data/spread.js'
import { MactokError, outOfRange } from '../errors.js'
import type { NativePerceptual, Precision } from '../native/addon.js'
import { native } from '../native/errors.js'
import { Tensor, tensor } from '../tensor/tensor.js'
import { Tokenizer } from '../tokenizer/tokenizer.js'
import { inceptionName } from '../weights/inception.js'
import { locateWeights } from '../weights/index.js'
import { loadPerceptual } from '../weights/perceptual.js'
import { Dinov2 } from './dinov2.js'
import { frechetDistance, type Gaussian } from './gaussian.js'
import { disposeGaussians, ImageStatistics } from './image-statistics.js'
import { Inception } from './inception.js'
import { kernelDistance } from './kernel-distance.js'
import { type FeatureNetwork, type ReconstructionMetric, requireNumbers } from './metric-names.js'
import type { Networks } from './networks.js'
import { PosteriorStatistics, type PosteriorSummary } from './posterior.js'
import { levelsPsnr } from './psnr.js'
import { reconstructionSchema } from './schema.js'
import { SSIM_WINDOW, ssim } from './ssim.js'

export interface ReconstructionEvaluation extends Partial<PosteriorSummary> {
  images: number
  /** dB, mean over the images, on 256 levels. */
  psnr: number
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

export interface EvaluatorOptions {
  metrics: readonly ReconstructionMetric[]
  /** LPIPS weights: a name or a path. */
  lpips: string
  /** FID's Inception: a name or a path. */
  inception: string
  /** FD-DINOv2's network: a name or a path. */
  dinov2: string
  device: string
}

export interface EvaluationPassOptions {
  precision: Precision
  /** Called after each batch with the number of images done; may throw to stop. */
  onBatch?: (done: number) => void
  /** Called with the posterior means [B, L, Z] of each batch and the images' labels. */
  onLatents?: (means: Float32Array, labels: Int32Array) => void
}

/** The default weights of the metrics during training. */
export const reconstructionWeights = { lpips: 'lpips-vgg', inception: inceptionName }

/** Metrics that compare distributions, by network. */
const distances = {
  inception: { frechet: 'rfid', kernel: 'rkid' },
  dinov2: { frechet: 'rfdDinov2', kernel: 'rkdDinov2' }
} as const

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length

/** The networks and sums behind the metrics of reconstructions, fed batch by batch. */
export class ReconstructionEvaluator implements Disposable {
  readonly #perceptual: NativePerceptual | null
  readonly #networks: Networks
  readonly #metrics: readonly ReconstructionMetric[]

  private constructor(
    perceptual: NativePerceptual | null,
    networks: Networks,
    metrics: readonly ReconstructionMetric[]
  ) {
    this.#perceptual = perceptual
    this.#networks = networks
    this.#metrics = metrics
  }

  /** @throws {MactokError} ERR_FORMAT when weights that a metric needs are missing, with how to get them */
  static async load(options: EvaluatorOptions): Promise<ReconstructionEvaluator> {
    const { metrics, lpips, inception, dinov2, device } = options
    const needs = (network: FeatureNetwork) =>
      Object.values(distances[network]).some((metric) => metrics.includes(metric))
    const perceptual = metrics.includes('lpips') ? await loadPerceptual(lpips, device) : null
    const networks: Networks = {}
    try {
      if (needs('inception')) networks.inception = await Inception.load({ weights: inception, device })
      if (needs('dinov2')) networks.dinov2 = await Dinov2.load({ weights: dinov2, device })
      return new ReconstructionEvaluator(perceptual, networks, metrics)
    } catch (error) {
      perceptual?.dispose()
      networks.inception?.dispose()
      throw error
    }
  }

  /** Evaluates the reconstructions of centre crops, nothing masked, from posterior means. */
  async evaluate(
    tokenizer: Tokenizer,
    batches: AsyncIterable<EvaluationBatch>,
    { precision, onBatch, onLatents }: EvaluationPassOptions
  ): Promise<ReconstructionEvaluation> {
    const { imageSize: size, latentTokens, latentChannels } = tokenizer.config
    const posterior = new PosteriorStatistics(latentTokens, latentChannels)
    const values = { psnr: [] as number[], ssim: [] as number[], lpips: [] as number[] }
    const kept = (['inception', 'dinov2'] as const).filter((network) =>
      this.#metrics.includes(distances[network].kernel)
    )
    const hasNetworks = !!this.#networks.inception || !!this.#networks.dinov2
    const statistics = hasNetworks && {
      original: await ImageStatistics.create(this.#networks, { features: kept }),
      decoded: await ImageStatistics.create(this.#networks, { features: kept })
    }
    try {
      for await (const { images, indices, labels } of batches) {
        const count = indices.length
        const shape = [count, size, size, 3]
        using original = tensor(images, shape, { dtype: 'uint8' })
        const { mean: latents, logvar } = await tokenizer.posterior(original, { precision })
        using _ = latents
        using __ = logvar
        using output = await tokenizer.decode(latents, { precision })
        const levels = toLevels(await output.toFloat32(), count)
        using decoded = tensor(levels, shape, { dtype: 'uint8' })
        values.psnr.push(...levelsPsnr(images, levels, count))
        const means = logvar || onLatents ? await latents.toFloat32() : null
        if (logvar && means) posterior.add(means, await logvar.toFloat32())
        if (means) onLatents?.(means, labels)
        if (this.#metrics.includes('ssim') && size >= SSIM_WINDOW) values.ssim.push(...(await ssim(original, decoded)))
        if (this.#perceptual) {
          using distance = Tensor.wrap<'float32'>(
            await native(this.#perceptual.distance(decoded.native, original.native, 'fp32'))
          )
          values.lpips.push(...(await distance.toFloat32()))
        }
        if (statistics) {
          await statistics.original.add(original)
          await statistics.decoded.add(decoded)
        }
        onBatch?.(values.psnr.length)
      }
      if (values.psnr.length === 0) throw new MactokError('ERR_FORMAT', 'There are no images to evaluate')
      const result: ReconstructionEvaluation = { images: values.psnr.length, psnr: mean(values.psnr) }
      if (values.ssim.length > 0) result.ssim = mean(values.ssim)
      if (values.lpips.length > 0) result.lpips = mean(values.lpips)
      if (statistics) Object.assign(result, await this.#distancesOf(statistics.original, statistics.decoded))
      return { ...result, ...(await posterior.result()) }
    } finally {
      if (statistics) {
        statistics.original.dispose()
        statistics.decoded.dispose()
      }
    }
  }

  async #distancesOf(original: ImageStatistics, decoded: ImageStatistics): Promise<Partial<ReconstructionEvaluation>> {
    const result: Partial<ReconstructionEvaluation> = {}
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
    this.#perceptual?.dispose()
    this.#networks.inception?.dispose()
    this.#networks.dinov2?.dispose()
  }

  [Symbol.dispose](): void {
    this.dispose()
  }
}

export interface EvaluateReconstructionOptions extends z.input<typeof reconstructionSchema> {
  onBroken?: (broken: Broken) => void
  onProgress?: (done: number, total: number) => void
  /** Stops between two batches with ERR_ABORTED. */
  signal?: AbortSignal
}

export interface ReconstructionReport extends ReconstructionEvaluation {
  /** The weights that LPIPS was computed with. */
  lpipsWeights?: string
  /** The DINOv2 that distances were computed with: those of different ones cannot be compared. */
  dinov2Weights?: string
  /** Why a metric is missing. */
  notices: string[]
}

/**
 * Evaluates a tokenizer's reconstructions of images (centre crops, nothing masked, posterior means): PSNR, SSIM, LPIPS, rFID and the like
 * on 256 levels, and what is known of the posterior: active units, KL, mutual information.
 * @throws {TypeError | RangeError} wrong options, an unknown metric
 * @throws {MactokError} ERR_FORMAT when a metric was named whose weights are missing
 */
export async function evaluateReconstruction(
  tokenizer: Tokenizer,
  source: ImageSource | string,
  options: EvaluateReconstructionOptions = {}
): Promise<ReconstructionReport> {
  const { onBroken, onProgress, signal, ...given } = options
  instance('tokenizer', 'a Tokenizer', Tokenizer, tokenizer)
  callbacks({ onBroken, onProgress, signal })
  const settings = parseConfig(reconstructionSchema, given)
  const { metrics, inception, dinov2, count, orientation, batch, precision } = settings
  // The lpips package measures with AlexNet and trains with VGG.
  const lpips = settings.lpips ?? ((await locateWeights('lpips-alex')) ? 'lpips-alex' : 'lpips-vgg')
  const { chosen, notices } = await chooseMetrics(metrics, { lpips, inception, size: tokenizer.config.imageSize })
  const { device } = tokenizer
  using evaluator = await ReconstructionEvaluator.load({ metrics: chosen, lpips, inception, dinov2, device })
  const set = await asSource('source', source).open()
  try {
    const images = spread(set, count ?? set.size)
    onProgress?.(0, images.size)
    const onBatch = (done: number) => {
      onProgress?.(done, images.size)
      if (signal?.aborted) throw new MactokError('ERR_ABORTED', `Stopped after ${done} of ${images.size} images`)
    }
    const crops = evaluationBatches(images, { size: tokenizer.config.imageSize, orientation, batch, onBroken })
    const result = await evaluator.evaluate(tokenizer, crops, {
      precision,
      onBatch
    })
    const usesDinov2 = chosen.includes('rfdDinov2') || chosen.includes('rkdDinov2')
    return {
      ...requireNumbers(result),
      ...(result.lpips !== undefined && { lpipsWeights: lpips }),
      ...(usesDinov2 && { dinov2Weights: dinov2 }),
      notices
    }
  } finally {
    await set.close()
  }
}

/** The metrics that are computed where none are named, and the smallest side in pixels that their windows and poolings fit into. */
const leastSide = { ssim: SSIM_WINDOW, lpips: 32, rfid: 1 }
const defaultMetrics = ['ssim', 'lpips', 'rfid'] as const

/** The requested metrics; or the default ones that can be computed here, with why others cannot. */
async function chooseMetrics(
  metrics: readonly ReconstructionMetric[] | undefined,
  { lpips, inception, size }: { lpips: string; inception: string; size: number }
): Promise<{ chosen: readonly ReconstructionMetric[]; notices: string[] }> {
  if (metrics?.includes('ssim') && size < SSIM_WINDOW) {
    throw outOfRange('metrics', `no ssim below ${SSIM_WINDOW} pixels`, `${size} pixels`)
  }
  if (metrics) return { chosen: metrics, notices: [] }
  const chosen: ReconstructionMetric[] = []
  const notices: string[] = []
  for (const metric of defaultMetrics) {
    const weights = metric === 'lpips' ? lpips : metric === 'rfid' ? inception : null
    const least = leastSide[metric]
    if (size < least) notices.push(`no ${metric}: it needs images of ${least} pixels or more`)
    else if (weights === null || (await locateWeights(weights))) chosen.push(metric)
    else notices.push(`no ${metric}: the weights ${weights} were not found; --metrics ${metric} says how to get them`)
  }
  return { chosen, notices }
}
