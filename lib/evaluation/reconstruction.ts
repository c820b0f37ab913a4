import type { z } from 'zod'
import { callbacks, instance, object } from '../checks.js'
import { parseConfig } from '../config.js'
import { type EvaluationBatch, evaluationBatches } from '../data/evaluation-batches.js'
import type { ImageSource } from '../data/image-set.js'
import { asSource } from '../data/image-source.js'
import type { Broken } from '../data/reader.js'
import { spread } from '../data/spread.js'
import { computeByRanks } from '../distributed/deal.js'
import type { RankGroup } from '../distributed/rank-group.js'
import { MactokError, outOfRange } from '../errors.js'
import type { NativePerceptual, Precision } from '../native/addon.js'
import type { TokenizerConfig } from '../tokenizer/schema.js'
import { Tokenizer } from '../tokenizer/tokenizer.js'
import { inceptionName } from '../weights/inception.js'
import { locateWeights } from '../weights/index.js'
import { loadPerceptual } from '../weights/perceptual.js'
import { Dinov2 } from './dinov2.js'
import { Inception } from './inception.js'
import { type ReconstructionMetric, requireNumbers } from './metric-names.js'
import type { Networks } from './networks.js'
import { measureReconstructions } from './reconstruction-batch.js'
import { needsNetwork, type ReconstructionEvaluation, ReconstructionTotals } from './reconstruction-totals.js'
import { reconstructionSchema } from './schema.js'
import { SSIM_WINDOW } from './ssim.js'

export type { ReconstructionEvaluation } from './reconstruction-totals.js'

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
  /** Ranks that have dealt the batches among them, each with these networks; null: this process alone. */
  group?: RankGroup | null
  /** Called after each batch with the number of images done; may throw to stop. */
  onBatch?: (done: number) => void
  /** Called with the posterior means [B, L, Z] of each batch and the images' labels. */
  onLatents?: (means: Float32Array, labels: Int32Array) => void
}

/** The default weights of the metrics during training. */
export const reconstructionWeights = { lpips: 'lpips-vgg', inception: inceptionName }

/** The networks behind the metrics of reconstructions. */
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
    const perceptual = metrics.includes('lpips') ? await loadPerceptual(lpips, device) : null
    const networks: Networks = {}
    try {
      if (needsNetwork('inception', metrics)) networks.inception = await Inception.load({ weights: inception, device })
      if (needsNetwork('dinov2', metrics)) networks.dinov2 = await Dinov2.load({ weights: dinov2, device })
      return new ReconstructionEvaluator(perceptual, networks, metrics)
    } catch (error) {
      perceptual?.dispose()
      networks.inception?.dispose()
      throw error
    }
  }

  /**
   * Evaluates the reconstructions of centre crops, nothing masked, from posterior means.
   * @returns null on ranks other than the first
   */
  async evaluate(
    tokenizer: Tokenizer,
    batches: AsyncIterable<EvaluationBatch>,
    { precision, group = null, onBatch, onLatents }: EvaluationPassOptions
  ): Promise<ReconstructionEvaluation | null> {
    const networks = { ...this.#networks, perceptual: this.#perceptual, tokenizer }
    const options = { metrics: this.#metrics, precision, latents: !!onLatents }
    const measure = (batch: EvaluationBatch) => measureReconstructions(networks, batch, options)
    using totals = await ReconstructionTotals.create(this.#metrics, this.#networks, tokenizer.config)
    for await (const measures of computeByRanks(group, batches, measure)) {
      await totals.add(measures)
      if (measures.means) onLatents?.(measures.means, measures.labels)
      onBatch?.(totals.images)
    }
    return !group || group.isFirst ? await totals.result() : null
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
  object('options', 'an object', options)
  const { onBroken, onProgress, signal, ...given } = options
  instance('tokenizer', 'a Tokenizer', Tokenizer, tokenizer)
  callbacks({ onBroken, onProgress, signal })
  const settings = parseConfig(reconstructionSchema, given)
  const { metrics, inception, dinov2, count, orientation, batch, precision } = settings
  // The lpips package measures with AlexNet and trains with VGG.
  const lpips = settings.lpips ?? ((await locateWeights('lpips-alex')) ? 'lpips-alex' : 'lpips-vgg')
  const { chosen, notices } = await chooseMetrics(metrics, { lpips, inception, config: tokenizer.config })
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
    const result = (await evaluator.evaluate(tokenizer, crops, { precision, onBatch })) as ReconstructionEvaluation
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
  { lpips, inception, config }: { lpips: string; inception: string; config: TokenizerConfig }
): Promise<{ chosen: readonly ReconstructionMetric[]; notices: string[] }> {
  const { imageSize: size, bottleneck } = config
  if (metrics?.includes('ssim') && size < SSIM_WINDOW) {
    throw outOfRange('metrics', `no ssim below ${SSIM_WINDOW} pixels`, `${size} pixels`)
  }
  if (metrics) {
    const missing = metrics.includes('samplePsnr') && bottleneck !== 'kl'
    return { chosen: metrics, notices: missing ? ['no samplePsnr: the tokenizer has no posterior'] : [] }
  }
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
