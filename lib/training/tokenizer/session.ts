/** What the training of a tokenizer does at each of the loop's moments. */

import { join } from 'node:path'
import type { Image } from '../../data/decode.js'
import type { Broken } from '../../data/reader.js'
import type { TrainBatch } from '../../data/train-batches.js'
import type { RankGroup } from '../../distributed/rank-group.js'
import type { Checksums } from '../../files/checksums.js'
import type { NativeStepOptions, NativeTensor, NativeTokenizerTrainer } from '../../native/addon.js'
import { native } from '../../native/errors.js'
import { addon } from '../../native/load.js'
import { reconstructionGrid } from '../../pipeline/reconstruct.js'
import type { MetricsRecord } from '../../runs/metrics.js'
import { FeatureCache } from '../../teacher/feature-cache.js'
import type { Teacher } from '../../teacher/teacher.js'
import { writeTokenizerConfig } from '../../tokenizer/folder.js'
import { Tokenizer } from '../../tokenizer/tokenizer.js'
import type { Emitter } from '../emitter.js'
import type { Metrics } from '../loop.js'
import { groupMetrics, type MetricGroups } from '../metrics.js'
import { splitBatch } from '../micro-batches.js'
import type { Session } from '../recipe.js'
import type { Resources } from '../resources.js'
import { klWeight, learningRate, warmedUp } from '../schedules.js'
import type { BatchShare } from '../share.js'
import type { TrainingData } from './data.js'
import type { TrainingEvents } from './events.js'
import type { TokenizerRunRecord } from './record.js'
import type { SettledConfig } from './settle.js'

interface Parts {
  dir: string
  settled: SettledConfig
  /** Where the images come from. */
  from: { from: string; heldOutFrom: string | null }
  images: TrainingData
  teacher: Teacher | null
  trainer: NativeTokenizerTrainer
  /** The part of every batch that this rank computes. */
  share: BatchShare
  /** The ranks that train together; null: this process alone. */
  group: RankGroup | null
  resources: Resources
  onBroken: (broken: Broken) => void
  events: Emitter<TrainingEvents>
}

/** Images, and the teacher's features of them where they are not computed at each step. */
export interface SessionBatch extends TrainBatch {
  features: NativeTensor | null
}

export class TokenizerSession implements Session<TokenizerRunRecord, SessionBatch> {
  readonly unit = 'images'
  readonly settled: SettledConfig
  readonly trainer: NativeTokenizerTrainer
  readonly #parts: Parts
  #cache: FeatureCache | null = null

  constructor(parts: Parts) {
    this.settled = parts.settled
    this.trainer = parts.trainer
    this.#parts = parts
  }

  get samples(): number {
    return this.#parts.images.images
  }

  get details() {
    const { images, heldOut } = this.#parts.images
    return { images, heldOut }
  }

  get data(): TokenizerRunRecord['data'] {
    return { ...this.#parts.from, ...this.details, ...this.#parts.images.listings }
  }

  get every() {
    const { evaluation, grid } = this.settled
    return { evaluation: this.details.heldOut > 0 ? evaluation.every : null, grid: grid.every }
  }

  /** Opens the cache of the teacher's features, where the settings name one, and computes what is missing of it. */
  async prepare(signal: AbortSignal | undefined): Promise<boolean> {
    const { dir, images, teacher, resources, onBroken, events } = this.#parts
    const { teacher: settings, tokenizer, data, precision } = this.settled
    if (!teacher || settings.cache === null) return true
    const cache = await FeatureCache.open({
      folder: settings.cache === 'auto' ? join(dir, 'teacher') : settings.cache,
      set: images.training,
      teacher,
      signal,
      size: tokenizer.imageSize,
      flip: data.flip,
      precision,
      onProgress: (done, total) => events.emit('features', { done, total }),
      onBroken
    })
    this.#cache = resources.use(cache)
    return cache !== null
  }

  async *batches(start: number): AsyncGenerator<SessionBatch, void, undefined> {
    for await (const batch of this.#parts.images.batches(start, this.#parts.share.rows)) {
      yield { ...batch, features: (await this.#cache?.features(batch)) ?? null }
    }
  }

  /** Hands the step over before it waits for anything, because the next one may be requested meanwhile. */
  async step({ images, features, release }: SessionBatch, step: number): Promise<void> {
    const { share } = this.#parts
    const { imageSize } = this.settled.tokenizer
    const input = addon().tensor(images, 'uint8', [share.batch, imageSize, imageSize, 3], 'cpu')
    release()
    const imageParts = splitBatch(input, share)
    const featureParts = features ? splitBatch(features, share) : null
    try {
      await native(this.trainer.step(imageParts, stepOptions(this.settled, step), featureParts))
    } finally {
      for (const tensor of [input, features, ...imageParts, ...(featureParts ?? [])]) tensor?.dispose()
    }
  }

  describe(metrics: Metrics, done: number): Omit<MetricsRecord, 'step'> {
    const { latentTokens, latentChannels } = this.settled.tokenizer
    const line = groupMetrics(metrics, groups)
    const { accuracyReal, accuracyFake } = metrics
    if (accuracyReal !== undefined && accuracyFake !== undefined) {
      line.discriminator = { ...(line.discriminator as object), accuracy: (accuracyReal + accuracyFake) / 2 }
    }
    const { lr, weights } = stepOptions(this.settled, done - 1)
    const klPerDimension = (metrics.kl as number) / (latentTokens * latentChannels)
    return { ...line, lr, klWeight: weights.kl, klPerDimension }
  }

  async evaluate(done: number, write: (line: MetricsRecord) => void): Promise<void> {
    const { images, group, events } = this.#parts
    const result = await images.evaluate(this.trainer.ema, this.settled.precision, group)
    if (!result) return
    const {
      images: _,
      klPerChannel,
      klPerToken,
      activeUnitsPerToken,
      mutualInformationPerToken,
      ...evaluation
    } = result
    const line: MetricsRecord = { step: done, evaluation }
    const curves = { klPerChannel, klPerToken, activeUnitsPerToken, mutualInformationPerToken }
    for (const [name, values] of Object.entries(curves)) {
      if (values) line[name] = Object.fromEntries(values.entries())
    }
    write(line)
    events.emit('evaluation', { step: done, ...result })
  }

  async grid(): Promise<Image> {
    const { images, teacher, onBroken } = this.#parts
    const { grid, tokenizer, seed, precision } = this.settled
    const { sheet } = await reconstructionGrid(Tokenizer.wrap(this.trainer.ema, tokenizer), images.shown, {
      teacher,
      count: grid.images,
      ratio: grid.ratio,
      seed,
      precision,
      zoom: Math.max(1, Math.floor(128 / tokenizer.imageSize)),
      onBroken
    })
    return sheet
  }

  saveConfig(folder: string, checksums: Checksums): Promise<void> {
    return writeTokenizerConfig(folder, this.settled.tokenizer, checksums)
  }
}

/** What depends on the step alone. */
function stepOptions({ optimizer, steps, loss, discriminator }: SettledConfig, step: number): NativeStepOptions {
  const { lr: peak, warmup, final } = optimizer
  const { reconstruction, perceptual, adversarial, kl, alignment } = loss.weights
  const isJudged = discriminator.weights !== null && step >= discriminator.start
  return {
    step,
    lr: learningRate(step, { peak, warmup, steps, final }),
    weights: {
      reconstruction,
      kl: klWeight(step, kl, loss.klAnneal),
      alignment,
      perceptual: loss.perceptual.weights === null ? 0 : warmedUp(step, perceptual, loss.perceptual.warmup),
      adversarial: isJudged ? adversarial : 0
    }
  }
}

const groups: MetricGroups = {
  loss: {
    total: 'total',
    reconstruction: 'reconstruction',
    perceptual: 'perceptual',
    adversarial: 'adversarial',
    kl: 'kl',
    alignLocal: 'alignLocal',
    alignGlobal: 'alignGlobal'
  },
  discriminator: {
    accuracyFake: 'accuracyFake',
    accuracyReal: 'accuracyReal',
    consistency: 'consistency',
    discriminator: 'loss',
    discriminatorCalls: 'calls',
    discriminatorGradNorm: 'gradNorm',
    discriminatorSkipped: 'skipped',
    lecam: 'lecam',
    logitsFake: 'logitsFake',
    logitsReal: 'logitsReal'
  }
}
