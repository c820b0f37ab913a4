import { evaluationBatches } from '../../data/evaluation-batches.js'
import type { ImageSet, ImageSource } from '../../data/image-set.js'
import type { Broken } from '../../data/reader.js'
import { split } from '../../data/split.js'
import { spread } from '../../data/spread.js'
import { type TrainBatch, trainBatches } from '../../data/train-batches.js'
import { dealOf } from '../../distributed/deal.js'
import type { RankGroup } from '../../distributed/rank-group.js'
import { requireImages, requireWeights } from '../../evaluation/prerequisites.js'
import { ProbeFeatures } from '../../evaluation/probe.js'
import {
  type ReconstructionEvaluation,
  ReconstructionEvaluator,
  reconstructionWeights
} from '../../evaluation/reconstruction.js'
import { withoutSecrets } from '../../files/address.js'
import type { NativeTokenizer, Precision } from '../../native/addon.js'
import { addon } from '../../native/load.js'
import { Tokenizer } from '../../tokenizer/tokenizer.js'
import { hashNames } from '../data-change.js'
import type { TrainingConfig } from './schema.js'

interface Request {
  config: TrainingConfig
  source: ImageSource
  heldOut: ImageSource | undefined
  onBroken: (broken: Broken) => void
}

export interface Evaluation extends ReconstructionEvaluation {
  /** Accuracy of the linear probe, where `evaluation.probe` is on and the images have classes. */
  probe?: number
}

function* namesOf(set: ImageSet): Generator<string, void, undefined> {
  for (let i = 0; i < set.size; i++) yield set.sample(i).name
}

/** The images of a run: those trained on, and those held out for evaluation, if any. */
export class TrainingData implements AsyncDisposable {
  readonly #opened: ImageSet[]
  readonly #training: ImageSet
  readonly #heldOut: ImageSet | null
  readonly #request: Request
  #evaluator: Promise<ReconstructionEvaluator> | null = null

  private constructor(opened: ImageSet[], training: ImageSet, heldOut: ImageSet | null, request: Request) {
    this.#opened = opened
    this.#training = training
    this.#heldOut = heldOut
    this.#request = request
  }

  static async open(request: Request): Promise<TrainingData> {
    const { config, source, heldOut } = request
    const opened = [await source.open()]
    try {
      const [all] = opened as [ImageSet]
      if (heldOut) {
        const others = await heldOut.open()
        opened.push(others)
        return new TrainingData(opened, all, others, request)
      }
      if (config.data.heldOut === 0) return new TrainingData(opened, all, null, request)
      const parts = split(all, config.data.heldOut, config.seed, addon().uniform)
      return new TrainingData(opened, parts.train, parts.heldOut, request)
    } catch (error) {
      await Promise.all(opened.map((set) => set.close()))
      throw error
    }
  }

  /** The number of images trained on. */
  get images(): number {
    return this.#training.size
  }

  /** The images trained on. */
  get training(): ImageSet {
    return this.#training
  }

  /** Images for grids: held-out ones, or where there are none those trained on. */
  get shown(): ImageSet {
    return this.#heldOut ?? this.#training
  }

  /** The number of held-out images. */
  get heldOut(): number {
    return this.#heldOut?.size ?? 0
  }

  /** Hashes of the names of all images of each source, in their order; null where none is held out apart. */
  get listings(): { listing: string; heldOutListing: string | null } {
    const [listing, heldOutListing = null] = this.#opened.map((set) => hashNames(namesOf(set)))
    return { listing: listing as string, heldOutListing }
  }

  /**
   * Checks what evaluations need, which would otherwise fail at the first one.
   * @throws {RangeError} fewer held-out images than a metric needs
   * @throws {MactokError} ERR_FORMAT without the weights that the metrics need
   */
  async checkEvaluation(): Promise<void> {
    const { config, heldOut } = this.#request
    const { metrics, images, dinov2 } = config.evaluation
    const given = heldOut ? `heldOut (${withoutSecrets(heldOut.name)})` : 'data.heldOut'
    requireImages(images < this.heldOut ? 'evaluation.images' : given, metrics, this.evaluated.size)
    await requireWeights('evaluation.metrics', metrics, { ...reconstructionWeights, dinov2 })
  }

  /** The held-out images of an evaluation, spread over the listing, so that those of a sorted folder are not all of one class. */
  get evaluated(): ImageSet {
    return spread(this.#heldOut as ImageSet, this.#request.config.evaluation.images)
  }

  /** These rows of each batch from a step on, without end. */
  batches(startStep: number, rows: readonly number[]): AsyncGenerator<TrainBatch, void, undefined> {
    const { config, onBroken } = this.#request
    const { minScale, flip, strict } = config.data
    return trainBatches(this.#training, {
      size: config.tokenizer.imageSize,
      batch: config.batch,
      seed: config.seed,
      uniform: addon().uniform,
      minScale,
      flip,
      startStep,
      rows,
      strict,
      onBroken
    })
  }

  /**
   * Evaluates the reconstructions of the held-out images' centre crops from posterior means, nothing masked: mean PSNR, the
   * `evaluation.metrics`, and where there is a posterior its active units, KL and mutual information.
   * @param group - ranks that share the batches; null: this process alone
   * @returns null on ranks other than the first
   */
  async evaluate(
    tokenizer: NativeTokenizer,
    precision: Precision,
    group: RankGroup | null
  ): Promise<Evaluation | null> {
    const { config, onBroken } = this.#request
    const { probe: pooling, batch, metrics, dinov2 } = config.evaluation
    const probe = pooling === 'none' ? null : new ProbeFeatures(pooling, config.tokenizer)
    const { device } = tokenizer
    this.#evaluator ??= ReconstructionEvaluator.load({ ...reconstructionWeights, metrics, dinov2, device })
    const evaluator = await this.#evaluator
    const { imageSize: size } = config.tokenizer
    const deal = group ? dealOf(group) : undefined
    const batches = evaluationBatches(this.evaluated, { size, batch, deal, strict: config.data.strict, onBroken })
    const result = await evaluator.evaluate(Tokenizer.wrap(tokenizer, config.tokenizer), batches, {
      precision,
      group,
      ...(probe && { onLatents: (means, labels) => probe.add(means, labels) })
    })
    return result && { ...result, ...(await probe?.probeHalves()) }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const evaluator = await this.#evaluator?.catch(() => null)
    evaluator?.dispose()
    await Promise.all(this.#opened.map((set) => set.close()))
  }
}
