import { evaluationBatches } from '../data/evaluation-batches.js'
import type { ImageSet, ImageSource } from '../data/image-set.js'
import { subset } from '../data/image-set.js'
import type { Broken } from '../data/reader.js'
import { split } from '../data/split.js'
import { type TrainBatch, trainBatches } from '../data/train-batches.js'
import { PosteriorStatistics, type PosteriorSummary } from '../evaluation/posterior.js'
import { psnr } from '../evaluation/psnr.js'
import type { NativeTensor, NativeTokenizer, Precision } from '../native/addon.js'
import { native } from '../native/errors.js'
import { addon } from '../native/load.js'
import type { TrainingConfig } from './schema.js'

interface Request {
  config: TrainingConfig
  source: ImageSource
  heldOut: ImageSource | undefined
  onBroken: (broken: Broken) => void
}

export interface Evaluation extends Partial<PosteriorSummary> {
  /** dB */
  psnr: number
  pictures: number
}

const floats = async (tensor: NativeTensor): Promise<Float32Array> => new Float32Array(await native(tensor.read()))

/** The pictures of a run: those trained on, and those kept for evaluation, if any. */
export class TrainingData implements AsyncDisposable {
  readonly #opened: ImageSet[]
  readonly #training: ImageSet
  readonly #heldOut: ImageSet | null
  readonly #request: Request

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

  /** The number of pictures trained on. */
  get pictures(): number {
    return this.#training.size
  }

  /** The number of held-out pictures. */
  get heldOut(): number {
    return this.#heldOut?.size ?? 0
  }

  /** Batches from a step on. */
  batches(startStep: number): AsyncGenerator<TrainBatch, void, undefined> {
    const { config, onBroken } = this.#request
    const { minScale, flip, strict } = config.data
    return trainBatches(this.#training, {
      ...{ size: config.tokenizer.imageSize, batch: config.batch, seed: config.seed, uniform: addon().uniform },
      ...{ minScale, flip, startStep, strict, onBroken }
    })
  }

  /**
   * The held-out pictures' centre crops, nothing masked: mean PSNR of the reconstructions from posterior means, and where there is
   * a posterior its active units and KL.
   */
  async evaluate(tokenizer: NativeTokenizer, precision: Precision): Promise<Evaluation> {
    const { config, onBroken } = this.#request
    const size = config.tokenizer.imageSize
    const set = this.#heldOut as ImageSet
    // Spread over the listing, so that a few pictures of a sorted folder are not all of one class.
    const count = Math.min(set.size, config.evaluation.pictures)
    const chosen = subset(
      set,
      Array.from({ length: count }, (_, i) => Math.floor((i * set.size) / count))
    )
    const values: number[] = []
    const statistics = new PosteriorStatistics(config.tokenizer.latentTokens, config.tokenizer.latentChannels)
    for await (const { images, indices } of evaluationBatches(chosen, {
      size,
      batch: config.evaluation.batch,
      onBroken
    })) {
      const input = addon().tensor(images, 'uint8', [indices.length, size, size, 3], 'cpu')
      const { mean, logvar } = await native(tokenizer.posterior(input, precision))
      const decoded = await native(tokenizer.decode(mean, precision))
      values.push(...psnr(images, new Float32Array(await native(decoded.read())), indices.length))
      if (logvar) statistics.add(await floats(mean), await floats(logvar))
      for (const tensor of [input, mean, logvar, decoded]) tensor?.dispose()
    }
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length
    return { psnr: mean, pictures: values.length, ...statistics.result() }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#opened.map((set) => set.close()))
  }
}
