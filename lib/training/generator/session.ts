/** What the training of a generator does at each of the loop's moments. */

import type { Image } from '../../data/decode.js'
import { grid } from '../../data/image.js'
import { toImages } from '../../data/levels.js'
import type { Checksums } from '../../files/checksums.js'
import { type GeneratorIdentity, writeGeneratorConfig } from '../../generator/folder.js'
import { Generator } from '../../generator/generator.js'
import type { LatentShards } from '../../latents/index.js'
import type { NativeFlowTrainer } from '../../native/addon.js'
import { native } from '../../native/errors.js'
import { addon } from '../../native/load.js'
import type { MetricsRecord } from '../../runs/metrics.js'
import type { Tensor } from '../../tensor/tensor.js'
import type { Tokenizer } from '../../tokenizer/tokenizer.js'
import { hashNames } from '../data-change.js'
import type { Emitter } from '../emitter.js'
import type { Metrics } from '../loop.js'
import { groupMetrics, type MetricGroups } from '../metrics.js'
import { splitBatch } from '../micro-batches.js'
import type { Session } from '../recipe.js'
import { learningRate } from '../schedules.js'
import type { BatchShare } from '../share.js'
import type { GeneratorEvents } from './events.js'
import { type LatentBatch, latentBatches } from './latent-batches.js'
import type { GeneratorRunRecord } from './record.js'
import type { SampleEvaluation } from './sample-evaluation.js'
import type { SettledGeneratorConfig } from './settle.js'

interface Parts {
  settled: SettledGeneratorConfig
  /** Where the latents and the tokenizer come from. */
  from: { from: string; tokenizerFrom: string | null; referenceFrom: string | null }
  shards: LatentShards
  identity: GeneratorIdentity
  /** Decodes samples; null: there are no grids. */
  tokenizer: Tokenizer | null
  /** Null: samples are not evaluated. */
  evaluation: SampleEvaluation | null
  trainer: NativeFlowTrainer
  /** The part of every batch that this rank computes. */
  share: BatchShare
  events: Pick<Emitter<GeneratorEvents>, 'emit'>
}

export class GeneratorSession implements Session<GeneratorRunRecord, LatentBatch> {
  readonly unit = 'latents'
  readonly settled: SettledGeneratorConfig
  readonly trainer: NativeFlowTrainer
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.settled = parts.settled
    this.trainer = parts.trainer
    this.#parts = parts
  }

  get samples(): number {
    return this.#parts.shards.count
  }

  get details() {
    const { identity } = this.#parts
    const { parameters } = Generator.wrap(this.trainer.generator, identity, 'fp32')
    const { classes, latentShape } = identity.config
    return { latents: this.samples, classes, latentShape, parameters }
  }

  get data(): GeneratorRunRecord['data'] {
    const { from, identity, shards } = this.#parts
    return {
      from: from.from,
      latents: this.samples,
      tokenizer: identity.tokenizer,
      tokenizerFrom: from.tokenizerFrom,
      referenceFrom: from.referenceFrom,
      listing: hashNames(shards.names() ?? Array.from(shards.labels, String))
    }
  }

  get every() {
    const { tokenizer, evaluation } = this.#parts
    return {
      evaluation: evaluation ? this.settled.evaluation.every : null,
      grid: tokenizer ? this.settled.grid.every : null
    }
  }

  batches(startStep: number): AsyncGenerator<LatentBatch, void, undefined> {
    const { shards, identity, share } = this.#parts
    const { batch, seed, latents } = this.settled
    const { rows } = share
    return latentBatches(shards, { batch, rows, seed, flip: latents.flip, statistics: identity.statistics, startStep })
  }

  async step(batch: LatentBatch, step: number): Promise<void> {
    const { share } = this.#parts
    const count = share.batch
    const { latentShape } = this.#parts.identity.config
    const latents = addon().tensor(batch.latents, 'float32', [count, ...latentShape], 'cpu')
    const labels = addon().tensor(batch.labels, 'int64', [count], 'cpu')
    const latentParts = splitBatch(latents, share)
    const labelParts = splitBatch(labels, share)
    const parts = latentParts.map((part, i) => ({ latents: part, labels: labelParts[i] as typeof labels }))
    try {
      await native(this.trainer.step(parts, { step, lr: rateAt(this.settled, step) }))
    } finally {
      for (const tensor of [latents, labels, ...latentParts, ...labelParts]) tensor.dispose()
    }
  }

  describe(metrics: Metrics, done: number): Omit<MetricsRecord, 'step'> {
    return { ...groupMetrics(metrics, groups), lr: rateAt(this.settled, done - 1) }
  }

  async evaluate(done: number, write: (line: MetricsRecord) => void): Promise<void> {
    const { evaluation, identity, events } = this.#parts
    if (!evaluation) return
    const metrics = await evaluation.evaluate(Generator.wrap(this.trainer.ema, identity, this.settled.precision))
    if (!metrics) return
    write({ step: done, evaluation: metrics })
    events.emit('evaluation', { step: done, ...metrics })
  }

  /** Samples of the classes in turn, from the same noise every time. */
  async grid(): Promise<Image> {
    const { identity, tokenizer } = this.#parts
    const { grid: settings, precision, seed } = this.settled
    const { classes } = identity.config
    const count = settings.images
    const generator = Generator.wrap(this.trainer.ema, identity, precision)
    const { latents, images } = await generator.sample({
      count,
      classes: Array.from({ length: Math.min(count, classes) }, (_, i) => i),
      steps: settings.steps,
      guidance: settings.guidance,
      sampler: 'heun',
      seed,
      tokenizer: tokenizer as Tokenizer,
      force: true
    })
    try {
      const { shape } = images as Tensor<'float32'>
      const columns = Math.min(count, classes > 1 && classes <= 16 ? classes : 8)
      return await grid(toImages(await (images as Tensor<'float32'>).data(), shape), columns)
    } finally {
      latents.dispose()
      images?.dispose()
    }
  }

  saveConfig(folder: string, checksums: Checksums): Promise<void> {
    return writeGeneratorConfig(folder, this.#parts.identity, checksums)
  }
}

const rateAt = ({ optimizer: { lr, warmup, final }, steps }: SettledGeneratorConfig, step: number): number =>
  learningRate(step, { peak: lr, warmup, steps, final })

const groups: MetricGroups = { loss: { total: 'total', flow: 'flow', direction: 'direction' } }
