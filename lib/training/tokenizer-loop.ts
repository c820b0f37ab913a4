/** What happens between the start of a tokenizer run and its last checkpoint. */

import { mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { writePng } from '../data/image.js'
import type { TrainBatch } from '../data/train-batches.js'
import type { NativeStepOptions, NativeTensor, NativeTokenizerTrainer } from '../native/addon.js'
import { native } from '../native/errors.js'
import { addon } from '../native/load.js'
import { reconstructionGrid } from '../pipeline/reconstruct.js'
import type { Recording } from '../profile/recording.js'
import { checkpointName, writeCheckpoint } from '../runs/checkpoint.js'
import { MetricsLog, type MetricsRecord } from '../runs/metrics.js'
import type { FeatureCache } from '../teacher/feature-cache.js'
import type { Teacher } from '../teacher/teacher.js'
import { writeTokenizerConfig } from '../tokenizer/folder.js'
import { Tokenizer } from '../tokenizer/tokenizer.js'
import type { TrainingControl } from './control.js'
import type { TrainingData } from './data.js'
import { DivergenceGuard, isNonFinite, nonFinite } from './divergence.js'
import type { Emitter } from './emitter.js'
import { runLoop } from './loop.js'
import type { RunRecord } from './run.js'
import { klWeight, learningRate, warmedUp } from './schedules.js'
import type { SettledConfig } from './settle.js'
import { saveTrainer } from './trainer-state.js'
import type { StepEvent, TrainingEvents } from './training-events.js'

interface Training {
  dir: string
  start: number
  stop: number
  data: TrainingData
  teacher: Teacher | null
  /** The teacher's features, where they are not computed anew each step. */
  cache: FeatureCache | null
  trainer: NativeTokenizerTrainer
  recording: Recording
  events: Emitter<TrainingEvents>
  record: RunRecord
  signal: AbortSignal | undefined
  control: TrainingControl | undefined
}

/**
 * Trains from step `start` to `stop`; returns the number of steps done.
 * @throws {MactokError} `ERR_DIVERGED`, after a checkpoint, when `maxSkipped` steps in a row were not finite
 */
export async function train(training: Training): Promise<number> {
  const { dir, start, stop, data, teacher, cache, trainer, recording, events, record, signal, control } = training
  const config = record.settled
  const log = new MetricsLog(dir, start)
  let since = performance.now()
  let logged = start
  const write = (line: MetricsRecord) => log.write(line)
  const guard = new DivergenceGuard(config.maxSkipped)

  try {
    const done = await runLoop({
      start,
      stop,
      signal: guard.signalWith(signal),
      control,
      held: (duration) => {
        since += duration
      },
      batches: data.batches(start),
      every: {
        log: config.log.every,
        checkpoint: config.checkpoint.every,
        evaluation: data.heldOut > 0 ? config.evaluation.every : null,
        grid: config.grid.every
      },
      step: (batch, step) => recording.step(step, () => runStep(trainer, batch, cache, config, schedule(config, step))),
      log: async (done) => {
        const metrics = await native(trainer.metrics())
        const imagesPerSecond = ((done - logged) * config.batch * 1000) / (performance.now() - since)
        const line = { ...describe(metrics, config, done, data.images), imagesPerSecond }
        write(line)
        const secondsLeft = ((stop - done) * config.batch) / imagesPerSecond
        events.emit('step', { ...line, steps: config.steps, secondsLeft } as StepEvent)
        logged = done
        since = performance.now()
        guard.check(done, metrics)
      },
      evaluate: async (done) => {
        const began = performance.now()
        const result = await data.evaluate(trainer.ema, config.precision)
        const { images: _, klPerChannel, ...evaluation } = result
        write({
          step: done,
          evaluation,
          ...(klPerChannel && { klPerChannel: Object.fromEntries(klPerChannel.entries()) })
        })
        events.emit('evaluation', { step: done, ...result })
        since += performance.now() - began
      },
      grid: async (done) => {
        const began = performance.now()
        const file = join(dir, 'grids', `${checkpointName(done)}.png`)
        const { images: count, ratio } = config.grid
        const { sheet } = await reconstructionGrid(Tokenizer.wrap(trainer.ema, config.tokenizer), data.shown, {
          ...{ teacher, count, ratio, seed: config.seed, precision: config.precision },
          zoom: Math.max(1, Math.floor(128 / config.tokenizer.imageSize))
        })
        await mkdir(dirname(file), { recursive: true })
        await writePng(file, sheet)
        events.emit('grid', { step: done, file })
        since += performance.now() - began
      },
      checkpoint: async (done) => {
        const began = performance.now()
        const state = { step: done, samples: done * config.batch, config, versions: record.versions }
        const save = async (folder: string) => {
          await saveTrainer(trainer, folder)
          await writeTokenizerConfig(folder, config.tokenizer)
        }
        const folder = await writeCheckpoint(dir, state, save, config.checkpoint)
        events.emit('checkpoint', { step: done, folder })
        since += performance.now() - began
      }
    })
    guard.throwIfDiverged()
    return done
  } finally {
    log.close()
    await recording.end()
  }
}

/** What depends on the step alone. */
function schedule({ optimizer, steps, loss, discriminator }: SettledConfig, step: number): NativeStepOptions {
  const { lr: peak, warmup, final } = optimizer
  const { reconstruction, perceptual, adversarial, kl, alignment } = loss.weights
  const judged = discriminator.weights !== null && step >= discriminator.start
  return {
    step,
    lr: learningRate(step, { peak, warmup, steps, final }),
    weights: {
      reconstruction,
      kl: klWeight(step, kl, loss.klAnneal),
      alignment,
      perceptual: loss.perceptual.weights === null ? 0 : warmedUp(step, perceptual, loss.perceptual.warmup),
      adversarial: judged ? adversarial : 0
    }
  }
}

/** Queues one step. */
async function runStep(
  trainer: NativeTokenizerTrainer,
  { images, indices, release }: TrainBatch,
  cache: FeatureCache | null,
  { batch, microBatch, tokenizer: { imageSize } }: SettledConfig,
  options: NativeStepOptions
): Promise<void> {
  const size = microBatch ?? batch
  const features = await cache?.features({ images, indices })
  const input = addon().tensor(images, 'uint8', [batch, imageSize, imageSize, 3], 'cpu')
  release()
  const parts = (tensor: NativeTensor) =>
    Array.from({ length: batch / size }, (_, i) => tensor.slice(i * size, (i + 1) * size))
  const [imageParts, featureParts] = [parts(input), features ? parts(features) : null]
  try {
    await native(trainer.step(imageParts, options, featureParts))
  } finally {
    for (const tensor of [input, features, ...imageParts, ...(featureParts ?? [])]) tensor?.dispose()
  }
}

const losses = ['total', 'reconstruction', 'perceptual', 'adversarial', 'kl', 'alignLocal', 'alignGlobal']

/** Metrics of the discriminator under the names that they have in its group of a line. */
const ofDiscriminator: Record<string, string> = {
  discriminator: 'loss',
  discriminatorGradNorm: 'gradNorm',
  discriminatorSkipped: 'skipped',
  discriminatorCalls: 'calls',
  ...Object.fromEntries(
    ['consistency', 'lecam', 'logitsReal', 'logitsFake', 'accuracyReal', 'accuracyFake'].map((name) => [name, name])
  )
}

/** A line of the metrics log. */
function describe(metrics: Record<string, number>, config: SettledConfig, done: number, images: number): MetricsRecord {
  const { steps: _, ...values } = metrics
  const groups: Record<'loss' | 'discriminator' | 'nonFinite', Record<string, number>> = {
    loss: Object.fromEntries(losses.flatMap((name) => (name in values ? [[name, values[name] as number]] : []))),
    discriminator: {},
    nonFinite: nonFinite(values)
  }
  const others: Record<string, number> = {}
  for (const [name, value] of Object.entries(values)) {
    if (isNonFinite(name)) continue
    if (ofDiscriminator[name]) groups.discriminator[ofDiscriminator[name]] = value
    else if (!losses.includes(name)) others[name] = value
  }
  const { accuracyReal, accuracyFake } = groups.discriminator
  if (accuracyReal !== undefined && accuracyFake !== undefined) {
    groups.discriminator.accuracy = (accuracyReal + accuracyFake) / 2
  }
  const { lr, weights } = schedule(config, done - 1)
  return {
    step: done,
    epoch: (done * config.batch) / images,
    ...Object.fromEntries(Object.entries(groups).filter(([, group]) => Object.keys(group).length > 0)),
    ...others,
    lr,
    klWeight: weights.kl,
    klPerDimension: (metrics.kl as number) / (config.tokenizer.latentTokens * config.tokenizer.latentChannels)
  }
}
