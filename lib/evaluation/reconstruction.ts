import { callbacks, instance, positive } from '../checks.js'
import { type EvaluationBatch, evaluationBatches } from '../data/evaluation-batches.js'
import type { ImageSet, ImageSource } from '../data/image-set.js'
import { asSource } from '../data/image-source.js'
import { toLevels } from '../data/levels.js'
import type { Broken } from '../data/reader.js'
import { spread } from '../data/spread.js'
import { MactokError, outOfRange } from '../errors.js'
import type { NativePerceptual, Precision } from '../native/addon.js'
import { native } from '../native/errors.js'
import { checkPrecision } from '../tensor/images.js'
import { Tensor, tensor } from '../tensor/tensor.js'
import { Tokenizer } from '../tokenizer/tokenizer.js'
import { inceptionName } from '../weights/inception.js'
import { locateWeights } from '../weights/index.js'
import { loadPerceptual } from '../weights/perceptual.js'
import { frechetDistance } from './gaussian.js'
import { ImageStatistics } from './image-statistics.js'
import { Inception } from './inception.js'
import { type ReconstructionMetric, reconstructionMetrics } from './metric-names.js'
import { PosteriorStatistics, type PosteriorSummary } from './posterior.js'
import { levelsPsnr } from './psnr.js'
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
}

export interface JudgeOptions {
  metrics: readonly ReconstructionMetric[]
  /** LPIPS weights: a name or a path. */
  lpips: string
  /** FID's Inception: a name or a path. */
  inception: string
  device: string
}

export interface JudgingOptions {
  precision: Precision
  /** Told of the images done; may throw to stop. */
  onBatch?: (done: number) => void
  /** Shown the posterior means [B, L, Z] of each batch and the images' labels. */
  onLatents?: (means: Float32Array, labels: Int32Array) => void
}

/** Whose weights metrics use unless told otherwise. */
export const reconstructionWeights = { lpips: 'lpips-vgg', inception: inceptionName }

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length

/** The networks and sums behind the metrics of reconstructions; images pass through in batches. */
export class ReconstructionJudge implements Disposable {
  readonly #perceptual: NativePerceptual | null
  readonly #inception: Inception | null
  readonly #structure: boolean

  private constructor(perceptual: NativePerceptual | null, inception: Inception | null, structure: boolean) {
    this.#perceptual = perceptual
    this.#inception = inception
    this.#structure = structure
  }

  /** @throws {MactokError} ERR_FORMAT when weights that a metric needs are missing, with how to get them */
  static async load({ metrics, lpips, inception, device }: JudgeOptions): Promise<ReconstructionJudge> {
    const perceptual = metrics.includes('lpips') ? await loadPerceptual(lpips, device) : null
    try {
      const network = metrics.includes('rfid') ? await Inception.load({ weights: inception, device }) : null
      return new ReconstructionJudge(perceptual, network, metrics.includes('ssim'))
    } catch (error) {
      perceptual?.dispose()
      throw error
    }
  }

  /**
   * Judges the reconstructions of centre crops, nothing masked, from posterior means.
   */
  async judge(
    tokenizer: Tokenizer,
    batches: AsyncIterable<EvaluationBatch>,
    { precision, onBatch, onLatents }: JudgingOptions
  ): Promise<ReconstructionEvaluation> {
    const { imageSize: size, latentTokens, latentChannels } = tokenizer.config
    const posterior = new PosteriorStatistics(latentTokens, latentChannels)
    const values = { psnr: [] as number[], ssim: [] as number[], lpips: [] as number[] }
    const statistics = this.#inception && {
      original: await ImageStatistics.create(this.#inception),
      decoded: await ImageStatistics.create(this.#inception)
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
        if (this.#structure && size >= SSIM_WINDOW) values.ssim.push(...(await ssim(original, decoded)))
        if (this.#perceptual) {
          using distance = Tensor.wrap<'float32'>(
            await native(this.#perceptual.distance(decoded.native, original.native, 'fp32'))
          )
          values.lpips.push(...(await distance.toFloat32()))
        }
        await statistics?.original.add(original)
        await statistics?.decoded.add(decoded)
        onBatch?.(values.psnr.length)
      }
      if (values.psnr.length === 0) throw new MactokError('ERR_FORMAT', 'There is no image to evaluate')
      const result: ReconstructionEvaluation = { images: values.psnr.length, psnr: mean(values.psnr) }
      if (values.ssim.length > 0) result.ssim = mean(values.ssim)
      if (values.lpips.length > 0) result.lpips = mean(values.lpips)
      if (statistics) result.rfid = await distanceBetween(statistics.original, statistics.decoded)
      return { ...result, ...posterior.result() }
    } finally {
      statistics?.original.dispose()
      statistics?.decoded.dispose()
    }
  }

  dispose(): void {
    this.#perceptual?.dispose()
    this.#inception?.dispose()
  }

  [Symbol.dispose](): void {
    this.dispose()
  }
}

async function distanceBetween(a: ImageStatistics, b: ImageStatistics): Promise<number> {
  const [one, other] = [await a.gaussians(), await b.gaussians()]
  using _ = one.pool
  using __ = other.pool
  return await frechetDistance(one.pool, other.pool)
}

export interface EvaluateReconstructionOptions {
  /** Besides PSNR, active units and KL. Default: all whose weights are found; those named must be there. */
  metrics?: readonly ReconstructionMetric[]
  /** LPIPS weights. Default `lpips-alex`, the lpips package's own choice for measuring, else `lpips-vgg`. */
  lpips?: string
  /** FID's Inception. Default `inception-fid`. */
  inception?: string
  /** Only so many images, spread over the listing. Default: all. */
  count?: number
  /** Images in one pass. Default 64. */
  batch?: number
  /** Of the tokenizer. Default `fp32`. */
  precision?: Precision
  onBroken?: (broken: Broken) => void
  onProgress?: (done: number, total: number) => void
  /** Stops between two batches with ERR_ABORTED. */
  signal?: AbortSignal
}

export interface ReconstructionReport extends ReconstructionEvaluation {
  /** The weights that LPIPS came from. */
  lpipsWeights?: string
  /** Why a metric is missing. */
  notices: string[]
}

/**
 * Judges a tokenizer's reconstructions of images (centre crops, nothing masked, posterior means): PSNR, SSIM, LPIPS and rFID on 256
 * levels, active units and KL.
 * @throws {RangeError} an unknown metric
 * @throws {MactokError} ERR_FORMAT when a metric was named whose weights are missing
 */
export async function evaluateReconstruction(
  tokenizer: Tokenizer,
  source: ImageSource | string,
  options: EvaluateReconstructionOptions = {}
): Promise<ReconstructionReport> {
  const { metrics, count, batch = 64, precision = 'fp32', onBroken, onProgress, signal } = options
  instance('tokenizer', 'a Tokenizer', Tokenizer, tokenizer)
  for (const [name, value] of Object.entries({ batch, ...(count !== undefined && { count }) })) positive(name, value)
  checkPrecision(precision)
  callbacks(options)
  const unknown = metrics?.find((name) => !reconstructionMetrics.includes(name))
  if (unknown !== undefined) throw outOfRange('metrics', `some of ${reconstructionMetrics.join(', ')}`, unknown)
  const lpips = options.lpips ?? ((await locateWeights('lpips-alex')) ? 'lpips-alex' : 'lpips-vgg')
  const inception = options.inception ?? inceptionName
  const { chosen, notices } = await available(metrics, { lpips, inception, size: tokenizer.config.imageSize })
  using judge = await ReconstructionJudge.load({ metrics: chosen, lpips, inception, device: tokenizer.device })
  const set = await asSource('source', source).open()
  try {
    const images = spread(set, count ?? set.size)
    onProgress?.(0, images.size)
    const onBatch = (done: number) => {
      onProgress?.(done, images.size)
      if (signal?.aborted) throw new MactokError('ERR_ABORTED', `Stopped after ${done} of ${images.size} images`)
    }
    const result = await judge.judge(tokenizer, centreCrops(images, tokenizer, batch, onBroken), {
      precision,
      onBatch
    })
    return { ...result, ...(result.lpips !== undefined && { lpipsWeights: lpips }), notices }
  } finally {
    await set.close()
  }
}

const centreCrops = (set: ImageSet, { config }: Tokenizer, batch: number, onBroken?: (broken: Broken) => void) =>
  evaluationBatches(set, { size: config.imageSize, batch, ...(onBroken && { onBroken }) })

/** Below which a metric's windows and poolings do not fit. */
const leastSide: Record<ReconstructionMetric, number> = { ssim: SSIM_WINDOW, lpips: 32, rfid: 1 }

/** The metrics that were named; or all that can be computed here, with what is missing. */
async function available(
  metrics: readonly ReconstructionMetric[] | undefined,
  { lpips, inception, size }: { lpips: string; inception: string; size: number }
): Promise<{ chosen: readonly ReconstructionMetric[]; notices: string[] }> {
  if (metrics?.includes('ssim') && size < SSIM_WINDOW) {
    throw outOfRange('metrics', `no ssim below ${SSIM_WINDOW} pixels`, `${size} pixels`)
  }
  if (metrics) return { chosen: metrics, notices: [] }
  const chosen: ReconstructionMetric[] = []
  const notices: string[] = []
  for (const metric of reconstructionMetrics) {
    const weights = metric === 'lpips' ? lpips : metric === 'rfid' ? inception : null
    const least = leastSide[metric]
    if (size < least) notices.push(`no ${metric}: it needs images of ${least} pixels or more`)
    else if (weights === null || (await locateWeights(weights))) chosen.push(metric)
    else notices.push(`no ${metric}: the weights ${weights} were not found; --metrics ${metric} tells how to get them`)
  }
  return { chosen, notices }
}
